"""KL and its symmetric form against scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy

from blended.fusion.losses import kl_to_soft_labels, symmetric_kl

logits_of = st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4)
counts_of = st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any)


@settings(max_examples=60, deadline=None)
@given(logits_of, counts_of)
def test_kl_is_scipys(logits: list[float], counts: list[int]) -> None:
    target = np.array(counts) / sum(counts)
    ours = kl_to_soft_labels(torch.tensor(logits).double(), torch.as_tensor(target))
    assert ours.item() == pytest.approx(entropy(target, softmax(logits)), abs=1e-9)
    assert ours >= -1e-9


@settings(max_examples=60, deadline=None)
@given(logits_of, logits_of)
def test_symmetric_kl_is_the_mean_of_scipys_two_directions(a: list[float], b: list[float]) -> None:
    p, q = softmax(a), softmax(b)
    ours = symmetric_kl(torch.tensor(a).double(), torch.tensor(b).double())
    assert ours.item() == pytest.approx((entropy(p, q) + entropy(q, p)) / 2, abs=1e-9)
    assert ours.item() == symmetric_kl(torch.tensor(b).double(), torch.tensor(a).double()).item()
    assert ours >= 0


def test_both_passes_of_symmetric_kl_learn() -> None:
    a = torch.tensor([[1.0, 0.0]], requires_grad=True)
    b = torch.tensor([[0.0, 1.0]], requires_grad=True)
    symmetric_kl(a, b).sum().backward()
    assert a.grad is not None and b.grad is not None
    torch.testing.assert_close(a.grad, -b.grad)
    assert a.grad[0, 0] > 0 > a.grad[0, 1]


def test_leading_dimensions_are_kept() -> None:
    logits, target = torch.randn(2, 3, 4), torch.full((2, 3, 4), 0.25)
    assert kl_to_soft_labels(logits, target).shape == symmetric_kl(logits, target).shape == (2, 3)
