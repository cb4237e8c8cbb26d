"""What every loss must bear: vmap over models, extreme values, absent clips, any order of the clips.

B clips, E = 6 emotions of BLEMORE, 4 models under vmap. Every loss is a case: predictions [B, columns],
targets [B, E] and weights [B] in, one number out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, vmap

from blended.data.corpora.blemore import SPACE
from blended.fusion.losses import (
    ep_ce,
    kl_to_soft_labels,
    one_minus_ccc,
    one_minus_pearson,
    pairwise_contrastive,
    polarity_of,
    polarity_weights,
    salience_ranking,
    set_ratio_nll,
    state_layout,
    state_log_probabilities,
    state_of_targets,
    symmetric_kl,
    weighted_mean,
)

NUM_CLIPS, NUM_MODELS, WIDTH = 12, 4, 5
LAYOUT = state_layout(SPACE)
STATES = LAYOUT.shares
POLARITIES = polarity_of(SPACE.emotions)


@dataclass(frozen=True)
class Case:
    """A loss on predictions of some width."""

    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    columns: int
    shift_invariant: bool = True
    """Whether adding a constant to a clip's predictions changes nothing."""


def set_ratio(x: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    sets, ratios = x[..., :16], x[..., 16:].unflatten(-1, (10, 3))
    states = state_of_targets(targets, LAYOUT)
    nll = set_ratio_nll(state_log_probabilities(sets, ratios, LAYOUT), states)
    return weighted_mean(nll, weights * (states >= 0))


def contrastive(x: Tensor, targets: Tensor | None, weights: Tensor, unit_targets: bool = False) -> Tensor:
    """Three modalities, of which the first is always there and the others differ between clips."""
    embeddings = x.unflatten(-1, (3, WIDTH)).movedim(-2, 0)
    present = torch.ones(weights.shape[0], 3, dtype=torch.bool)
    present[::4, 1] = False
    present[1::5, 2] = False
    return pairwise_contrastive(embeddings, targets, present, weights, unit_targets=unit_targets)


CASES = {
    "kl": Case(lambda x, y, w: weighted_mean(kl_to_soft_labels(x, y), w), 6),
    "ep_ce": Case(lambda x, y, w: weighted_mean(ep_ce(x, y, POLARITIES), w), 6),
    "polarity_weighted_kl": Case(
        lambda x, y, w: weighted_mean(polarity_weights(x, y, POLARITIES) * kl_to_soft_labels(x, y), w), 6
    ),
    "ranking": Case(lambda x, y, w: weighted_mean(salience_ranking(x, y), w), 6),
    "ranking_without_ties": Case(
        lambda x, y, w: weighted_mean(salience_ranking(x, y, margin=0.0, tie_weight=0.0), w), 6
    ),
    "symmetric_kl": Case(lambda x, y, w: weighted_mean(symmetric_kl(x[..., :6], x[..., 6:]), w), 12),
    "set_ratio": Case(set_ratio, 46),
    "contrastive": Case(lambda x, y, w: contrastive(x, None, w), 3 * WIDTH, shift_invariant=False),
    "contrastive_labels": Case(contrastive, 3 * WIDTH, shift_invariant=False),
    "contrastive_unit_labels": Case(
        lambda x, y, w: contrastive(x, y, w, unit_targets=True), 3 * WIDTH, shift_invariant=False
    ),
    "one_minus_pearson": Case(one_minus_pearson, 6, shift_invariant=False),
    "one_minus_ccc": Case(one_minus_ccc, 6, shift_invariant=False),
}
IN_BATCH = [name for name in CASES if not name.startswith("contrastive")]
"""All but `contrastive`, whose modalities are missing by position in the batch."""

all_cases = pytest.mark.parametrize("name", CASES)


def problem(name: str, seed: int, num_clips: int = NUM_CLIPS) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, targets (states, a rater distribution, a row of zeros) and weights (some 0)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_clips, CASES[name].columns, generator=generator)
    y = STATES[torch.randint(len(STATES), (num_clips,), generator=generator)]
    y[1] = torch.tensor([0.2, 0.2, 0.1, 0.1, 0.4, 0.0])
    y[2] = 0
    w = torch.rand(num_clips, generator=generator) + 0.1
    w[3] = 0
    return x, y, w


@all_cases
def test_under_vmap_each_model_gets_its_own_value_and_gradient(name: str) -> None:
    loss = CASES[name].loss
    problems = [problem(name, seed) for seed in range(NUM_MODELS)]
    stacked = [torch.stack(parts) for parts in zip(*problems, strict=True)]
    values, gradients = vmap(loss)(*stacked), vmap(grad(loss))(*stacked)
    for model, (x, y, w) in enumerate(problems):
        torch.testing.assert_close(values[model], loss(x, y, w), rtol=1e-5, atol=1e-6)
        alone = x.clone().requires_grad_(True)
        loss(alone, y, w).backward()
        assert alone.grad is not None
        torch.testing.assert_close(gradients[model], alone.grad, rtol=1e-4, atol=1e-6)


@all_cases
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.0, 1e-30, 1e-21, 1e-12, 1.0, 1e4]))
def test_value_and_gradient_are_finite_at_extremes(name: str, seed: int, scale: float) -> None:
    x, y, w = problem(name, seed)
    x = (x.sign() * scale).requires_grad_(True)
    value = CASES[name].loss(x, y, w)
    value.backward()
    assert x.grad is not None and value.isfinite() and bool(x.grad.isfinite().all())
    assert value >= -1e-5


@all_cases
def test_no_clip_at_all_gives_zero_and_no_gradient(name: str) -> None:
    x, y, w = problem(name, 5)
    x.requires_grad_(True)
    value = CASES[name].loss(x, y, torch.zeros_like(w))
    value.backward()
    assert x.grad is not None
    assert value == 0 and bool((x.grad == 0).all())


@all_cases
def test_targets_of_zeros_are_borne(name: str) -> None:
    x, y, w = problem(name, 6)
    x.requires_grad_(True)
    value = CASES[name].loss(x, torch.zeros_like(y), w)
    value.backward()
    assert x.grad is not None and value.isfinite() and bool(x.grad.isfinite().all())


@all_cases
def test_a_clip_of_weight_zero_is_absent(name: str) -> None:
    x, y, w = problem(name, 7)
    more_x = torch.cat([x, torch.full_like(x[:2], 1e4)]).requires_grad_(True)
    more_y, more_w = torch.cat([y, STATES[[0, 9]]]), torch.cat([w, torch.zeros(2)])
    value = CASES[name].loss(more_x, more_y, more_w)
    torch.testing.assert_close(value, CASES[name].loss(x, y, w), rtol=1e-5, atol=1e-6)
    value.backward()
    assert more_x.grad is not None and bool((more_x.grad[-2:] == 0).all())


@all_cases
def test_an_absent_clip_may_hold_nan(name: str) -> None:
    x, y, w = problem(name, 8)
    spoilt = x.clone()
    spoilt[3] = torch.nan
    assert w[3] == 0
    torch.testing.assert_close(CASES[name].loss(spoilt, y, w), CASES[name].loss(x, y, w))


@all_cases
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_only_the_ratio_of_weights_counts(name: str, seed: int, factor: float) -> None:
    x, y, w = problem(name, seed)
    torch.testing.assert_close(
        CASES[name].loss(x, y, factor * w), CASES[name].loss(x, y, w), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", IN_BATCH)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), order=st.permutations(range(NUM_CLIPS)))
def test_the_order_of_clips_does_not_count(name: str, seed: int, order: list[int]) -> None:
    x, y, w = problem(name, seed)
    moved = CASES[name].loss(x[order], y[order], w[order])
    torch.testing.assert_close(moved, CASES[name].loss(x, y, w), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.shift_invariant])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-50, 50))
def test_a_constant_added_to_logits_does_not_count(name: str, seed: int, shift: float) -> None:
    x, y, w = problem(name, seed)
    torch.testing.assert_close(
        CASES[name].loss(x + shift, y, w), CASES[name].loss(x, y, w), rtol=1e-3, atol=1e-4
    )
