"""Salience ranking against loops over pairs, and what it asks of a clip."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.fusion.losses import salience_ranking

logits_of = st.lists(st.floats(-6, 6, width=32), min_size=5, max_size=5)
counts_of = st.lists(st.integers(0, 3), min_size=5, max_size=5).filter(any)


def plain_ranking(logits: list[float], counts: list[int], margin: float, tie_weight: float) -> float:
    cost, total = 0.0, 0.0
    for i in range(len(logits)):
        for j in range(len(logits)):
            if counts[i] > counts[j]:
                cost += math.log1p(math.exp(margin - (logits[i] - logits[j])))
                total += 1
            elif i < j and counts[i] == counts[j] and counts[i] > 0:
                cost += tie_weight * (logits[i] - logits[j]) ** 2
                total += tie_weight
    return cost / total if total else 0.0


@settings(max_examples=100, deadline=None)
@given(logits_of, counts_of, st.floats(0, 3), st.sampled_from([0.0, 0.25, 1.0, 4.0]))
def test_it_is_that_of_loops_over_pairs(
    logits: list[float], counts: list[int], margin: float, tie_weight: float
) -> None:
    # Thirds and sevenths: equal counts must stay equal after rounding to float32.
    targets = torch.tensor(counts) / sum(counts)
    ours = salience_ranking(torch.tensor(logits), targets, margin, tie_weight).item()
    assert ours == pytest.approx(plain_ranking(logits, counts, margin, tie_weight), rel=1e-4, abs=1e-5)
    assert ours >= 0


def test_without_a_margin_it_is_the_cross_entropy_of_ranknet() -> None:
    logits = torch.tensor([1.5, -0.5])
    sure_order = torch.nn.functional.binary_cross_entropy_with_logits(logits[0] - logits[1], torch.ones(()))
    torch.testing.assert_close(salience_ranking(logits, torch.tensor([0.7, 0.3]), margin=0.0), sure_order)


def test_a_blend_of_any_ratio_has_as_many_pairs() -> None:
    level = torch.zeros(6)
    unequal = salience_ranking(level, torch.tensor([0.7, 0.3, 0, 0, 0, 0]))
    equal = salience_ranking(level, torch.tensor([0.5, 0.5, 0, 0, 0, 0]))
    cost = math.log1p(math.e)
    assert unequal.item() == pytest.approx(9 * cost / 9) and equal.item() == pytest.approx(8 * cost / 9)


def test_descent_puts_a_clip_in_its_order() -> None:
    targets = torch.tensor([[0.7, 0.3, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    logits = torch.tensor([[0.0, 1.0, 2.0], [2.0, 0.0, 1.0], [1.0, 0.0, 0.0]], requires_grad=True)
    optimiser = torch.optim.SGD([logits], lr=0.3)
    for _ in range(300):
        optimiser.zero_grad()
        salience_ranking(logits, targets).sum().backward()
        optimiser.step()
    (a, b, c), (d, e, f), (g, h, i) = logits.tolist()
    assert a > b > c
    assert d == pytest.approx(e, abs=1e-3) and d > f + 1
    assert i > max(g, h) and g == pytest.approx(h, abs=1.5)


def test_shares_that_differ_by_rounding_are_tied() -> None:
    logits = torch.tensor([4.0, 0.0])
    rounded = torch.tensor([0.5, 0.50000006])
    assert rounded[0] != rounded[1]
    assert salience_ranking(logits, rounded).item() == pytest.approx(16)


def test_no_pair_costs_nothing() -> None:
    logits = torch.tensor([3.0, 1.0], requires_grad=True)
    for targets, tie_weight in ((torch.zeros(2), 1.0), (torch.tensor([0.5, 0.5]), 0.0)):
        value = salience_ranking(logits, targets, tie_weight=tie_weight)
        (gradient,) = torch.autograd.grad(value, logits)
        assert value == 0 and bool((gradient == 0).all())
