"""AdamW on stacked parameters against torch.optim.AdamW on each model by itself."""

import math

import pytest
import torch

from blended.fusion.config import TrainingConfig
from blended.fusion.optimiser import AdamW, rate_factor

RATES = (0.1, 0.01, 0.05)
SCALES = {"low": 0.3}


def parameters() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"high": (3, 4, 5), "low": (3, 2, 4), "bias": (3, 4), "scale": (3, 1)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def stacked(config: TrainingConfig) -> AdamW:
    leaves = {name: value.requires_grad_(True) for name, value in parameters().items()}
    return AdamW(leaves, torch.tensor(RATES), config, SCALES)


def gradients(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return {name: torch.randn(value.shape, generator=generator) for name, value in parameters().items()}


def run(optimiser: AdamW, active: list[list[bool]], factor: float = 1.0) -> None:
    for step, models in enumerate(active):
        for name, gradient in gradients(step).items():
            # A model that is not active has no loss, and so no gradient.
            optimiser.parameters[name].grad = gradient * torch.tensor(models).view(
                -1, *[1] * (gradient.ndim - 1)
            )
        optimiser.step(torch.tensor(models), torch.full((3,), factor))


def by_torch(model: int, active: list[bool], config: TrainingConfig) -> dict[str, torch.Tensor]:
    mine = {name: value[model].clone().requires_grad_(True) for name, value in parameters().items()}
    groups = [
        {
            "params": [value],
            "lr": RATES[model] * SCALES.get(name, 1.0),
            "weight_decay": config.weight_decay if value.ndim > 1 else 0.0,
        }
        for name, value in mine.items()
    ]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, config.beta2))
    for step, on in enumerate(active):
        if not on:
            continue
        for name, gradient in gradients(step).items():
            mine[name].grad = gradient[model].clone()
        if config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(mine.values(), config.clip_norm)
        optimiser.step()
    return mine


ACTIVE = [[True, True, True], [True, False, True], [True, False, False], [True, True, False]]


@pytest.mark.parametrize("clip_norm", [None, 1.5])
def test_it_is_torchs_for_every_model_and_its_own_steps(clip_norm: float | None) -> None:
    config = TrainingConfig(weight_decay=0.5, beta2=0.97, clip_norm=clip_norm)
    optimiser = stacked(config)
    run(optimiser, ACTIVE)
    assert optimiser.steps_M.tolist() == [4, 2, 2]
    for model in range(3):
        for name, theirs in by_torch(model, [models[model] for models in ACTIVE], config).items():
            assert torch.allclose(optimiser.parameters[name][model], theirs, atol=1e-6), (model, name)


def test_a_model_that_is_not_active_stays_to_the_last_bit() -> None:
    optimiser = stacked(TrainingConfig(ema=0.9))
    run(optimiser, ACTIVE[:1])
    before = {name: value.detach().clone() for name, value in optimiser.parameters.items()}
    slow = {name: value.clone() for name, value in optimiser.average.items()}
    run(optimiser, [[True, False, True]] * 3)
    for name, value in optimiser.parameters.items():
        assert torch.equal(value[1], before[name][1]) and not torch.equal(value[0], before[name][0])
        assert torch.equal(optimiser.average[name][1], slow[name][1])
        assert not torch.equal(optimiser.average[name][0], slow[name][0])


def test_taking_some_models_goes_on_as_if_nothing_was_taken() -> None:
    config = TrainingConfig(ema=0.5)
    whole, part = stacked(config), stacked(config)
    run(whole, ACTIVE[:2])
    run(part, ACTIVE[:2])
    part = part.take(torch.tensor([2]))
    assert part.predicting.keys() == whole.predicting.keys()
    run(whole, [[True] * 3])
    for name, gradient in gradients(0).items():
        part.parameters[name].grad = gradient[2:].clone()
    part.step(torch.tensor([True]), torch.ones(1))
    for name, value in part.predicting.items():
        assert torch.equal(value[0], whole.predicting[name][2])


def test_what_predicts_is_the_average_by_hand() -> None:
    optimiser = stacked(TrainingConfig(ema=0.8))
    average = parameters()
    for _ in range(4):
        run(optimiser, [[True] * 3])
        for name, value in optimiser.parameters.items():
            average[name] = 0.8 * average[name] + 0.2 * value.detach()
    for name, value in optimiser.predicting.items():
        assert torch.allclose(value, average[name], atol=1e-6)
    assert not torch.allclose(optimiser.predicting["high"], optimiser.parameters["high"], atol=1e-3)


@pytest.mark.parametrize("epoch", [0, 0.5, 1, 2, 3.75, 8, 9])
def test_the_rate_rises_and_falls_as_its_formula(epoch: float) -> None:
    config = TrainingConfig(schedule="cosine", warmup_epochs=2, max_epochs=8)
    expected = min(1, epoch / 2) * (1 + math.cos(math.pi * min(epoch, 8) / 8)) / 2
    assert rate_factor(config, epoch) == pytest.approx(expected)
    assert rate_factor(TrainingConfig(warmup_epochs=2), epoch) == min(1, epoch / 2)
    assert rate_factor(TrainingConfig(), epoch) == 1
