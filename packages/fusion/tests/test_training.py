"""The training loop against plain torch, and models trained together against models trained alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.data import InputError
from blended.fusion import heads
from blended.fusion.losses import kl_to_soft_labels
from blended.fusion.training import Job, TrainingConfig, batches_of_epoch, train


def quiet(message: str) -> None:
    assert message


def problem(num_clips: int = 60, dim: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    targets = torch.rand(num_clips, 4, generator=generator).softmax(dim=-1)
    return torch.randn(num_clips, dim, generator=generator) + targets @ torch.ones(4, dim), targets


def plainly_trained(
    x: torch.Tensor, targets: torch.Tensor, job: Job, config: TrainingConfig
) -> torch.nn.Sequential:
    """The same model by torch.nn, torch.optim and a loop over batches."""
    rows = torch.as_tensor(job.rows)
    mean, spread = x[rows].mean(dim=0), x[rows].std(dim=0, correction=0)
    standardised = (x - mean) / spread
    start = heads.initial_parameters(x.shape[1], config.hidden, 4, [job.seed], torch.device("cpu"))
    layers: list[torch.nn.Module] = []
    for layer in range(len(start) // 2):
        weight = start[f"weight{layer}"][0].T
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight.clone(), start[f"bias{layer}"][0, 0].clone()
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    decayed = [layer.weight for layer in model if isinstance(layer, torch.nn.Linear)]
    biases = [layer.bias for layer in model if isinstance(layer, torch.nn.Linear)]
    optimiser = torch.optim.AdamW(
        [{"params": decayed}, {"params": biases, "weight_decay": 0.0}],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    for epoch in range(job.epochs):
        order = np.random.default_rng((job.seed, epoch)).permutation(len(job.rows))
        for batch in torch.as_tensor(job.rows[order]).split(config.batch_size):
            log_p = model(standardised[batch]).log_softmax(dim=-1)
            loss = torch.nn.functional.kl_div(log_p, targets[batch], reduction="batchmean")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model


@pytest.mark.parametrize("hidden", [0, 5])
def test_each_model_is_what_plain_torch_trains(hidden: int) -> None:
    x, targets = problem()
    config = TrainingConfig(hidden=hidden, learning_rate=0.01, batch_size=16, weight_decay=0.1)
    jobs = [
        Job(np.arange(0, 40), epochs=3, seed=1),
        Job(np.arange(10, 60), epochs=4, seed=2),
        Job(np.arange(0, 60, 3), epochs=2, seed=3),
    ]
    together = train(x, targets, jobs, config, quiet)
    for number, job in enumerate(jobs):
        model = plainly_trained(x, targets, job, config)
        layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
        for layer, linear in enumerate(layers):
            ours = together.parameters[f"weight{layer}"][number].T
            assert torch.allclose(ours, linear.weight, atol=1e-5), (number, layer)
            assert torch.allclose(together.parameters[f"bias{layer}"][number, 0], linear.bias, atol=1e-5)


def test_trained_alone_equals_trained_among_others() -> None:
    x, targets = problem()
    config = TrainingConfig(hidden=8, learning_rate=0.01, batch_size=16)
    jobs = [Job(np.arange(fold, 60, 2), epochs=3, seed=fold) for fold in range(2)]
    together = train(x, targets, jobs, config, quiet).predict(x)
    for number, job in enumerate(jobs):
        alone = train(x, targets, [job], config, quiet).predict(x)[0]
        np.testing.assert_allclose(together[number], alone, atol=1e-5)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    x, targets = problem()
    config = TrainingConfig(batch_size=16)
    runs = [
        train(x, targets, [Job(np.arange(60), 2, seed)], config, quiet).parameters["weight0"]
        for seed in (5, 5, 6)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2])


def test_a_watched_model_keeps_its_best_epoch() -> None:
    x, targets = problem()
    watched = np.arange(40, 60)
    config = TrainingConfig(learning_rate=0.05, batch_size=8)
    trained = train(x, targets, [Job(np.arange(40), 30, 1, watched)], config, quiet)
    best = int(np.argmin(trained.watched_loss[0])) + 1
    assert 1 < best < 30, "the problem must overfit for this test to say anything"
    stopped = train(x, targets, [Job(np.arange(40), best, 1)], config, quiet)
    assert torch.equal(trained.parameters["weight0"], stopped.parameters["weight0"])
    loss = kl_to_soft_labels(torch.as_tensor(trained.predict(x)[0]).log()[watched], targets[watched])
    assert float(loss.mean()) == pytest.approx(trained.watched_loss[0].min(), abs=1e-5)


def test_nothing_of_the_rows_left_out_reaches_a_model() -> None:
    x, targets = problem()
    job = [Job(np.arange(30), 3, 1)]
    spoilt_x, spoilt_targets = x.clone(), targets.clone()
    spoilt_x[30:] = 1e6
    spoilt_targets[30:] = 0.25
    clean = train(x, targets, job, TrainingConfig(), quiet).parameters["weight0"]
    spoilt = train(spoilt_x, spoilt_targets, job, TrainingConfig(), quiet).parameters["weight0"]
    assert torch.equal(clean, spoilt)


def test_divergence_is_named() -> None:
    x, targets = problem()
    x[0] = 1e30
    with pytest.raises(InputError, match=r"diverged in epoch \d .* lower the learning rate from 1e\+30"):
        train(x, targets, [Job(np.arange(60), 3, 1)], TrainingConfig(learning_rate=1e30), quiet)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 3))
def test_an_epoch_visits_every_row_once(num_rows: int, batch_size: int, seed: int) -> None:
    jobs = [Job(np.arange(num_rows), 2, seed), Job(np.arange(5), 1, seed)]
    plan = batches_of_epoch(jobs, 1, batch_size)
    visited = plan[:, 0].ravel()
    assert sorted(visited[visited >= 0].tolist()) == list(range(num_rows))
    assert (plan[:, 1] == -1).all(), "the second model is done after one epoch"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=4, max_size=4), st.integers(0, 3))
def test_kl_is_torchs(logits: list[float], winner: int) -> None:
    target = torch.full((1, 4), 0.1)
    target[0, winner] = 0.7
    ours = kl_to_soft_labels(torch.tensor([logits]), target)
    theirs = torch.nn.functional.kl_div(torch.tensor([logits]).log_softmax(-1), target, reduction="sum")
    assert float(ours[0]) == pytest.approx(float(theirs), abs=1e-4)
    one_hot = torch.nn.functional.one_hot(torch.tensor([winner]), 4).float()
    entropy = torch.nn.functional.cross_entropy(torch.tensor([logits]), torch.tensor([winner]))
    assert float(kl_to_soft_labels(torch.tensor([logits]), one_hot)[0]) == pytest.approx(
        float(entropy), abs=1e-4
    )
