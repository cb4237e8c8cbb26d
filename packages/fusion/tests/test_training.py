"""The training loop against plain torch, and models trained together against models trained alone."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from blended.fusion.config import TrainingConfig
from blended.fusion.losses import kl_to_soft_labels
from blended.fusion.objective import LossConfig
from blended.fusion.plan import Job
from blended.fusion.training import Trained, train
from toys.problems import QUIET, toy_inputs, toy_problem

NAMES = ("ear", "eye")
CONFIG = TrainingConfig(learning_rate=0.01, batch_size=16, weight_decay=0.1, max_epochs=5)
JOBS = [
    Job(np.arange(0, 40), epochs=3, seed=1, learning_rate=0.01),
    Job(np.arange(10, 73), epochs=4, seed=2, learning_rate=0.03),
    Job(np.arange(0, 60, 3), epochs=2, seed=3, learning_rate=0.01),
]
"""Of 3, 4 and 2 batches an epoch."""


def plain_batches(job: Job, config: TrainingConfig) -> Iterator[torch.Tensor]:
    for epoch in range(job.epochs):
        order = np.random.default_rng((job.seed, epoch)).permutation(len(job.rows))
        yield from torch.as_tensor(job.rows[order]).split(config.batch_size)


def plain_schedule(optimiser: torch.optim.Optimizer, config: TrainingConfig, per_epoch: int) -> list:
    schedules: list = []
    if config.warmup_epochs:
        steps = int(config.warmup_epochs * per_epoch)
        # torch refuses to start from exactly 0.
        schedules.append(torch.optim.lr_scheduler.LinearLR(optimiser, 1e-12, total_iters=steps))
    if config.schedule == "cosine":
        steps = config.max_epochs * per_epoch
        schedules.append(torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps))
    return schedules


def plainly_trained(job: Job, config: TrainingConfig) -> nn.Sequential:
    """The same model by torch.nn, torch.optim and a loop over batches."""
    given = toy_inputs()
    x = torch.cat([given.features[name] for name in NAMES], dim=1)
    rows = torch.as_tensor(job.rows)
    x = (x - x[rows].mean(dim=0)) / x[rows].std(dim=0, correction=0)
    torch.manual_seed(job.seed)
    widths = [4, config.hidden, 4] if config.hidden else [4, 4]
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1]) if config.hidden else nn.Sequential(layers[0])
    optimiser = torch.optim.AdamW(
        [
            {"params": [layer.weight for layer in layers]},
            {"params": [layer.bias for layer in layers], "weight_decay": 0.0},
        ],
        lr=job.learning_rate,
        weight_decay=config.weight_decay,
        betas=(0.9, config.beta2),
    )
    schedules = plain_schedule(optimiser, config, -(-len(job.rows) // config.batch_size))
    average = [parameter.detach().clone() for parameter in model.parameters()]
    for batch in plain_batches(job, config):
        loss = nn.functional.kl_div(
            model(x[batch]).log_softmax(dim=-1), given.targets[batch], reduction="batchmean"
        )
        optimiser.zero_grad()
        loss.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimiser.step()
        for schedule in schedules:
            schedule.step()
        for slow, fast in zip(average, model.parameters(), strict=True):
            slow.copy_(config.ema * slow + (1 - config.ema) * fast.detach())
    for slow, fast in zip(average, model.parameters(), strict=True):
        fast.data = slow
    return model


def weights_of(trained: Trained, model: int) -> list[torch.Tensor]:
    return [value[model] for value in trained.parameters.values()]


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": "cosine", "beta2": 0.95},
        {"clip_norm": 0.05, "ema": 0.9},
        {"schedule": "cosine", "warmup_epochs": 1, "clip_norm": 0.1, "ema": 0.8, "weight_decay": 1.0},
    ],
)
def test_each_model_is_what_plain_torch_trains(hidden: int, changes: dict) -> None:
    config = TrainingConfig.model_validate(CONFIG.model_dump() | {"hidden": hidden} | changes)
    together = train(toy_problem(config), JOBS, config, QUIET)
    for number, job in enumerate(JOBS):
        model = plainly_trained(job, config)
        for ours, theirs in zip(weights_of(together, number), model.parameters(), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5), number


EVERYTHING = {
    "dropout and r-drop": {"dropout": 0.2, "loss": LossConfig(r_drop=0.5)},
    "mixup and balance": {"mixup": 0.4, "loss": LossConfig(ranking=0.3, balance=0.5)},
    "modality dropout and ep-ce": {"modality_dropout": 0.5, "loss": LossConfig(name="ep-ce")},
    "cosine, warm-up, clipping, averages": {
        "schedule": "cosine", "warmup_epochs": 2, "clip_norm": 0.1, "ema": 0.9
    },
    "patience and set-ratio": {"patience": 1, "scores": "set-ratio"},
    "all": {
        "dropout": 0.2, "mixup": 0.4, "modality_dropout": 0.3, "scores": "set-ratio", "patience": 2,
        "ema": 0.5, "schedule": "cosine", "warmup_epochs": 1, "loss": LossConfig(r_drop=0.5, balance=0.4),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EVERYTHING)
def test_trained_alone_equals_trained_among_others(name: str) -> None:
    config = CONFIG.model_copy(update={"hidden": 8, "learning_rate": 0.03, **EVERYTHING[name]})
    watched = np.arange(90, 120)
    jobs = [
        Job(np.arange(0, 40), 3, 1, 0.01, watched),
        Job(np.arange(5, 90), 4, 2, 0.1, watched[:20]),
        Job(np.arange(0, 20), 2, 3, 0.03),
    ]
    together = train(toy_problem(config), jobs, config, QUIET)
    rows = np.arange(130)
    predicted = together.predict_all(rows)
    for number, job in enumerate(jobs):
        alone = train(toy_problem(config), [job], config, QUIET)
        np.testing.assert_allclose(
            alone.watched_loss[0], together.watched_loss[number][: job.epochs], atol=1e-5
        )
        for key, values in alone.predict_all(rows).items():
            np.testing.assert_allclose(predicted[key][number], values[0], atol=1e-5)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    config = CONFIG.model_copy(update={"dropout": 0.2, "mixup": 0.3})
    runs = [
        weights_of(train(toy_problem(config), [Job(np.arange(60), 2, seed, 0.01)], config, QUIET), 0)[0]
        for seed in (5, 5, 6)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2])


def test_a_watched_model_keeps_its_best_epoch() -> None:
    config = TrainingConfig(batch_size=8, hidden=32, weight_decay=0.0)
    given = toy_inputs()
    watched = np.arange(40, 70)
    problem = toy_problem(config, inputs=given)
    trained = train(problem, [Job(np.arange(40), 12, 1, 0.02, watched)], config, QUIET)
    best = int(np.argmin(trained.watched_loss[0])) + 1
    assert 1 < best < 12, "the problem must overfit for this test to say anything"
    stopped = train(problem, [Job(np.arange(40), best, 1, 0.02)], config, QUIET)
    for ours, theirs in zip(weights_of(trained, 0), weights_of(stopped, 0), strict=True):
        assert torch.equal(ours, theirs)
    predicted = torch.as_tensor(trained.predict(watched[None])["emotions"][0])
    loss = kl_to_soft_labels(predicted.log(), given.targets[watched].double())
    assert float(loss.mean()) == pytest.approx(trained.watched_loss[0].min(), abs=1e-5)


@pytest.mark.parametrize("ema", [0.0, 0.7])
def test_patience_ends_a_model_and_leaves_the_others_alone(ema: float) -> None:
    config = TrainingConfig(batch_size=16, hidden=16, weight_decay=0.0, ema=ema)
    patient = config.model_copy(update={"patience": 2})
    problem = toy_problem(config, inputs=toy_inputs(noise=3))
    jobs = [
        Job(np.arange(40), 15, 1, 0.1, np.arange(40, 70)),
        Job(np.arange(40, 80), 15, 2, 0.001, np.arange(80, 110)),
    ]
    to_the_end = train(problem, jobs, config, QUIET).watched_loss
    trained = train(problem, jobs, patient, QUIET)
    ended = int(np.isfinite(trained.watched_loss[0]).sum())
    assert ended == int(np.argmin(to_the_end[0, :ended])) + 1 + 2 < 15
    np.testing.assert_array_equal(trained.watched_loss[0, :ended], to_the_end[0, :ended])
    np.testing.assert_allclose(trained.watched_loss[1], to_the_end[1], atol=1e-6)
    assert np.isfinite(trained.watched_loss[1]).all(), "the slow model must go on"
    best = int(np.nanargmin(trained.watched_loss[0])) + 1
    kept = train(problem, [Job(np.arange(40), best, 1, 0.1)], config, QUIET)
    for ours, theirs in zip(weights_of(trained, 0), weights_of(kept, 0), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_model_that_is_done_stays_as_it_is_to_the_last_bit() -> None:
    """While the others of its stack run out of clips in the same epoch, too."""
    config = CONFIG.model_copy(update={"ema": 0.5, "weight_decay": 1.0, "hidden": 3})
    short, long = Job(np.arange(16), 2, 1, 0.01), Job(np.arange(80), 5, 2, 0.01)
    until = [
        train(toy_problem(config), [short, Job(np.arange(80), n, 2, 0.01)], config, QUIET) for n in (2, 5)
    ]
    assert long.epochs == 5
    for ours, theirs in zip(weights_of(until[0], 0), weights_of(until[1], 0), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("mixup", [0.0, 0.5])
@pytest.mark.parametrize("scores", ["emotions", "set-ratio"])
def test_nothing_of_the_rows_left_out_reaches_a_model(mixup: float, scores: str) -> None:
    """Row 0 is left out, too: the place that padding looks at."""
    config = CONFIG.model_copy(update={"mixup": mixup, "scores": scores})
    job = [Job(np.arange(1, 30), 3, 1, 0.01)]
    clean = toy_inputs()
    spoilt = toy_inputs()
    for rows in (slice(0, 1), slice(30, None)):
        for name in NAMES:
            spoilt.features[name][rows] = 1e6
        spoilt.targets[rows] = spoilt.targets[rows].roll(1, dims=1)
    weights = [
        weights_of(train(toy_problem(config, inputs=given), job, config, QUIET), 0)
        for given in (clean, spoilt)
    ]
    for ours, theirs in zip(*weights, strict=True):
        assert torch.equal(ours, theirs)


def test_bfloat16_stays_close() -> None:
    config = CONFIG.model_copy(update={"hidden": 8})
    halved = config.model_copy(update={"amp": "bfloat16"})
    rows = np.arange(120)
    full, half = (
        train(toy_problem(one), JOBS, one, QUIET).predict_all(rows)["emotions"] for one in (config, halved)
    )
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(full, half, atol=2e-2)


@pytest.mark.parametrize(("enabled", "only_warns"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("wanted", [False, True])
def test_the_deterministic_setting_is_put_back(enabled: bool, only_warns: bool, wanted: bool) -> None:
    config = CONFIG.model_copy(update={"deterministic": wanted})
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(enabled, warn_only=only_warns)
    try:
        train(toy_problem(config), JOBS[:1], config, QUIET)
        assert torch.are_deterministic_algorithms_enabled() == enabled
        assert torch.is_deterministic_algorithms_warn_only_enabled() == only_warns
    finally:
        torch.use_deterministic_algorithms(before)
