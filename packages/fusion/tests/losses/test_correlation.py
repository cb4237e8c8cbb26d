"""Pearson and CCC losses against scipy and plain formulas."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from torch import Tensor

from blended.fusion.losses import one_minus_ccc, one_minus_pearson

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def problem(seed: int, num_clips: int = 11) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, intensities, and whole-numbered weights, so that a weight is a number of copies."""
    rng = np.random.default_rng(seed)
    targets = rng.random((num_clips, 7))
    predicted = 0.5 * targets + rng.normal(size=targets.shape)
    weights = rng.integers(0, 4, num_clips)
    weights[:3] = 1, 2, 1
    return predicted, targets, weights


def plain_ccc(p: np.ndarray, t: np.ndarray) -> float:
    covariance = np.cov(p, t, bias=True)
    return 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + (p.mean() - t.mean()) ** 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_both_are_those_of_clips_copied_by_their_weight(seed: int) -> None:
    predicted, targets, weights = problem(seed)
    p, t = np.repeat(predicted, weights, axis=0), np.repeat(targets, weights, axis=0)
    ours = [torch.as_tensor(part, dtype=torch.float64) for part in (predicted, targets, weights)]
    r = [pearsonr(p[:, column], t[:, column]).statistic for column in range(7)]
    ccc = [plain_ccc(p[:, column], t[:, column]) for column in range(7)]
    assert one_minus_pearson(*ours).item() == pytest.approx(1 - np.mean(r), abs=1e-9)
    assert one_minus_ccc(*ours).item() == pytest.approx(1 - np.mean(ccc), abs=1e-9)
    assert 0 <= one_minus_pearson(*ours) <= 2 and 0 <= one_minus_ccc(*ours) <= 2
    assert one_minus_ccc(*ours) >= (1 - torch.tensor(np.abs(r)).mean()).item() - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-100, 100))
def test_pearson_ignores_scale_and_offset_and_ccc_is_symmetric(
    seed: int, scale: float, offset: float
) -> None:
    p, t, w = (torch.as_tensor(part, dtype=torch.float64) for part in problem(seed))
    torch.testing.assert_close(one_minus_pearson(scale * p + offset, t, w), one_minus_pearson(p, t, w))
    torch.testing.assert_close(one_minus_ccc(p, t, w), one_minus_ccc(t, p, w))
    torch.testing.assert_close(one_minus_ccc(t, t, w), torch.zeros(()).double(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("loss", [one_minus_pearson, one_minus_ccc])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e4, -1e-30])
def test_a_column_without_variance_gives_one(loss: Loss, constant: float) -> None:
    varying = torch.linspace(0, 1, 33)[:, None]
    level = torch.full_like(varying, constant)
    weights = torch.rand(33, generator=torch.Generator().manual_seed(0))
    for predicted, targets in ((level, varying), (varying, level), (level, level)):
        predicted = predicted.clone().requires_grad_(True)
        value = loss(predicted, targets, weights)
        (gradient,) = torch.autograd.grad(value, predicted)
        assert value.item() == pytest.approx(1, abs=1e-6) and bool(gradient.isfinite().all())


def test_rounding_of_level_predictions_is_no_gradient_of_pearson() -> None:
    varying = torch.linspace(0, 1, 33)[:, None]
    weights = torch.rand(33, generator=torch.Generator().manual_seed(0))
    for constant in (0.1, 0.7, 1e4 / 3):
        level = torch.full_like(varying, constant, requires_grad=True)
        (gradient,) = torch.autograd.grad(one_minus_pearson(level, varying, weights), level)
        assert gradient.tolist() == [[0.0]] * 33
    small_but_real = (1000 + 0.1 * varying).requires_grad_(True)
    assert one_minus_pearson(small_but_real, varying, weights).item() == pytest.approx(0, abs=1e-3)


def test_one_level_column_among_others_counts_as_one_in_the_mean() -> None:
    t = torch.rand(20, 2, generator=torch.Generator().manual_seed(1))
    p = torch.stack([t[:, 0], torch.full((20,), 0.3)], dim=1)
    assert one_minus_pearson(p, t, torch.ones(20)).item() == pytest.approx(0.5, abs=1e-5)


def test_descent_on_ccc_leaves_constant_predictions() -> None:
    t = torch.rand(20, 2, generator=torch.Generator().manual_seed(1))
    p = torch.full((20, 2), 0.9, requires_grad=True)
    optimiser = torch.optim.Adam([p], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        one_minus_ccc(p, t, torch.ones(20)).backward()
        optimiser.step()
    assert one_minus_ccc(p, t, torch.ones(20)).item() < 0.01


@pytest.mark.parametrize("loss", [one_minus_pearson, one_minus_ccc])
def test_gradients_are_right(loss: Loss) -> None:
    p, t, w = (torch.as_tensor(part, dtype=torch.float64) for part in problem(3))
    assert torch.autograd.gradcheck(lambda x: loss(x, t, w), p.requires_grad_(True))
