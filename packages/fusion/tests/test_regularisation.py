"""What is random in a step, against the same step written for one model in plain torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.objective import LossConfig
from blended.fusion.passes import Step, losses_of
from blended.fusion.plan import Draws, Job
from blended.fusion.training import train
from toys.problems import QUIET, toy_inputs, toy_problem

JOBS = [Job(np.arange(0, 60), 1, 1, 0.01), Job(np.arange(20, 90), 1, 2, 0.01)]
ROWS = np.stack([np.arange(5, 21), np.arange(60, 76)])
ROWS[1, 12:] = -1
HIDDEN, EPOCH, BATCH = 5, 3, 2


def ours(config: TrainingConfig, weights: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Losses and gradients of both models."""
    problem = toy_problem(config)
    source = problem.make_source(JOBS)
    network = problem.make_network(source)
    parameters = {
        name: torch.stack([value.detach(), 2 * value.detach()]).requires_grad_(True)
        for name, value in network.named_parameters()
    }
    step = Step(network, source, problem.targets, problem.objective, config)
    draws = Draws(JOBS, EPOCH, BATCH, torch.device("cpu"))
    losses = losses_of(step, parameters, torch.arange(2), torch.as_tensor(ROWS), weights, draws, 1)
    return losses, parameters


def plainly(
    model: int, config: TrainingConfig, weights: torch.Tensor, parameters: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """One model by itself on its own clips, without padding."""
    given, job = toy_inputs(), JOBS[model]
    rows = torch.as_tensor(ROWS[model][ROWS[model] >= 0])
    x = [given.features[name] for name in ("ear", "eye")]
    x = [(one - one[job.rows].mean(dim=0)) / one[job.rows].std(dim=0, correction=0) for one in x]
    draws = Draws([job], EPOCH, BATCH, torch.device("cpu"))
    if config.modality_dropout:
        kept = draws.kept_modalities(16, 2, config.modality_dropout)[0]
        x = [one[rows] * kept[: len(rows), k : k + 1] for k, one in enumerate(x)]
    else:
        x = [one[rows] for one in x]
    first_w, first_b, last_w, last_b = (
        value[model].detach().clone().requires_grad_() for value in parameters.values()
    )
    w, y = weights[model, : len(rows)], given.targets[rows]

    def logits(turn: int) -> torch.Tensor:
        z = torch.cat(x, dim=1)
        if config.mixup:
            z = share * z + (1 - share) * z[partner]
        keep = draws.uniform(16, 4 + HIDDEN, turn)[0, : len(rows)] >= config.dropout
        scale = 1 / (1 - config.dropout)
        h = nn.functional.linear(z * keep[:, :4] * scale, first_w, first_b).relu()
        return nn.functional.linear(h * keep[:, 4:] * scale, last_w, last_b)

    if config.mixup:
        partner, share = (one[0] for one in draws.mixup(ROWS[model : model + 1], config.mixup))
        partner = partner[: len(rows)]

    def divergence(log_p: torch.Tensor) -> torch.Tensor:
        def mean(labels: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
            each = nn.functional.kl_div(log_p, labels, reduction="none").sum(dim=1)
            return (each * by).sum() / by.sum()

        if not config.mixup:
            return mean(y, w)
        return share * mean(y, w) + (1 - share) * mean(y[partner], w[partner])

    passes = [logits(turn).log_softmax(dim=1) for turn in range(2 if config.loss.r_drop else 1)]
    loss = torch.stack([divergence(log_p) for log_p in passes]).mean()
    if config.loss.r_drop:
        a, b = passes
        both = [
            nn.functional.kl_div(p, q, log_target=True, reduction="none").sum(dim=1)
            for p, q in ((a, b), (b, a))
        ]
        loss = loss + config.loss.r_drop * ((both[0] + both[1]) / 2 * w).sum() / w.sum()
    loss.backward()
    return loss.detach(), [one.grad for one in (first_w, first_b, last_w, last_b)]


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.3},
        {"mixup": 0.5},
        {"modality_dropout": 0.6},
        {"dropout": 0.4, "loss": LossConfig(r_drop=0.7)},
        {"dropout": 0.2, "mixup": 0.8, "modality_dropout": 0.4, "loss": LossConfig(r_drop=0.5)},
    ],
)
def test_a_step_is_what_it_says(changes: dict) -> None:
    config = TrainingConfig(hidden=HIDDEN, batch_size=16).model_copy(update=changes)
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(2, 16, generator=generator) * torch.as_tensor(ROWS >= 0)
    losses, parameters = ours(config, weights)
    for model in range(2):
        loss, gradients = plainly(model, config, weights, parameters)
        assert float(losses[model]) == pytest.approx(float(loss), abs=1e-5)
        for mine, theirs in zip(parameters.values(), gradients, strict=True):
            assert mine.grad is not None
            assert torch.allclose(mine.grad[model], theirs, atol=1e-5)


def test_a_clips_only_modality_is_never_hidden() -> None:
    """Clips without sound keep the picture, so that training is as if nothing had been drawn for them."""
    without_sound = np.ones(130, dtype=bool)
    without_sound[:2] = False
    given = toy_inputs(missing={"ear": without_sound})
    # Two clips with sound, for the standardiser; none is in the batch.
    job = [Job(np.arange(60), 3, 1, 0.02)]
    weights: list[list[torch.Tensor | None]] = []
    for rate in (0.0, 1.0):
        config = TrainingConfig(batch_size=16, modality_dropout=rate)
        problem = toy_problem(config, inputs=given)
        source = problem.make_source(job)
        step = Step(problem.make_network(source), source, problem.targets, problem.objective, config)
        parameters = {
            name: torch.ones_like(value)[None].requires_grad_(True)
            for name, value in step.network.named_parameters()
        }
        rows = torch.arange(10, 26)[None]
        draws = Draws(job, 0, 0, torch.device("cpu"))
        losses_of(step, parameters, torch.arange(1), rows, torch.ones(1, 16), draws, 1)
        weights.append([value.grad for value in parameters.values()])
    for one, other in zip(*weights, strict=True):
        assert torch.equal(one, other)


def test_balance_weighs_blends_as_asked() -> None:
    """A bias alone, trained to its optimum, is the weighted mean of the labels."""
    given = toy_inputs()
    blend = (given.targets > 0).sum(dim=1) > 1
    for balance in (0.2, 0.8):
        config = TrainingConfig(
            batch_size=120, weight_decay=0.0, max_epochs=60, loss=LossConfig(balance=balance)
        )
        silent = replace(given, features={name: torch.zeros_like(x) for name, x in given.features.items()})
        trained = train(toy_problem(config, inputs=silent), [Job(np.arange(120), 60, 0, 0.1)], config, QUIET)
        expected = balance * given.targets[blend].mean(dim=0) + (1 - balance) * given.targets[~blend].mean(
            dim=0
        )
        np.testing.assert_allclose(
            trained.predict(np.zeros((1, 1), int))["emotions"][0, 0], expected, atol=0.01
        )


def test_r_drop_without_dropout_is_refused() -> None:
    config = TrainingConfig(loss=LossConfig(r_drop=0.5))
    with pytest.raises(
        InputError, match=r"r_drop compares two passes with different dropout, .*: set dropout"
    ):
        train(toy_problem(config), JOBS, config, QUIET)


def test_contrast_without_embeddings_is_refused() -> None:
    config = TrainingConfig(loss=LossConfig(contrastive=0.5))
    with pytest.raises(
        InputError, match="contrastive compares the embeddings of modalities, and this strategy"
    ):
        train(toy_problem(config), JOBS, config, QUIET)
