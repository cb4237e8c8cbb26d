"""The balance of single and blended clips, and weighted means."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.data import InputError
from blended.data.corpora.blemore import SPACE
from blended.fusion.losses import clip_weights, weighted_mean

TARGETS = torch.tensor([SPACE.target(state) for state in SPACE.states])


def plainly_balanced(targets: np.ndarray, balance: float) -> list[float]:
    """The same by loops: shares of the total divided among the clips of a kind."""
    kinds = [sum(value > 0 for value in row) for row in targets]
    singles, blends = sum(kind == 1 for kind in kinds), sum(kind > 1 for kind in kinds)
    if not singles or not blends:
        return [float(kind > 0) for kind in kinds]
    total = singles + blends
    of_kind = {0: 0.0, 1: (1 - balance) * total / singles}
    return [of_kind.get(kind, balance * total / blends) for kind in kinds]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-1, 35), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_blends_weigh_their_share(states: list[int], balance: float) -> None:
    targets = torch.stack([TARGETS[state] if state >= 0 else torch.zeros(6) for state in states])
    weights = clip_weights(targets, balance)
    assert weights.tolist() == pytest.approx(plainly_balanced(targets.numpy(), balance), rel=1e-5)
    labelled, blend = targets.sum(dim=1) > 0, (targets > 0).sum(dim=1) > 1
    assert bool((weights >= 0).all()) and bool((weights[~labelled] == 0).all())
    if labelled.any():
        assert weights[labelled].mean().item() == pytest.approx(1, rel=1e-5)
    if blend.any() and (labelled & ~blend).any():
        assert (weights[blend].sum() / weights.sum()).item() == pytest.approx(balance, rel=1e-5)


def test_without_a_balance_every_clip_counts_alike() -> None:
    assert clip_weights(TARGETS, None).tolist() == [1.0] * 36
    assert clip_weights(torch.zeros(3, 6), None).tolist() == [1.0] * 3


@pytest.mark.parametrize("kind", [slice(0, 6), slice(6, 36)])
def test_a_part_of_one_kind_only_is_not_weighted(kind: slice) -> None:
    assert clip_weights(TARGETS[kind], 0.2).tolist() == [1.0] * len(TARGETS[kind])


def test_the_natural_balance_changes_nothing() -> None:
    torch.testing.assert_close(clip_weights(TARGETS, 30 / 36), torch.ones(36))


@pytest.mark.parametrize("balance", [0.0, 1.0, -0.5, 70.0, float("nan")])
def test_an_impossible_balance_is_refused(balance: float) -> None:
    with pytest.raises(InputError, match=r"balance of blends is .*, expected a number between 0 and 1"):
        clip_weights(TARGETS, balance)


def test_parts_stacked_for_vmap_are_balanced_each() -> None:
    parts = torch.stack([TARGETS[:12], TARGETS[3:15], TARGETS[24:]])
    stacked = torch.func.vmap(lambda part: clip_weights(part, 0.3))(parts)
    torch.testing.assert_close(stacked, torch.stack([clip_weights(part, 0.3) for part in parts]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 5)), min_size=1, max_size=20))
def test_the_weighted_mean_is_numpys(items: list[tuple[float, float]]) -> None:
    losses, weights = np.array(items).T
    ours = weighted_mean(torch.as_tensor(losses), torch.as_tensor(weights)).item()
    expected = np.average(losses, weights=weights) if weights.sum() > 0 else 0.0
    assert ours == pytest.approx(expected, abs=1e-9)
