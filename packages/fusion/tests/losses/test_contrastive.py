"""The contrastive loss between modalities against loops over clips."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from blended.data import InputError
from blended.data.corpora.blemore import SPACE
from blended.fusion.losses import pairwise_contrastive

STATES = torch.tensor([SPACE.target(state) for state in SPACE.states])


def plain_contrastive(
    embeddings: np.ndarray, targets: np.ndarray | None, present: np.ndarray, weights: np.ndarray
) -> float:
    """InfoNCE by loops: per ordered pair of modalities, over clips that have both."""
    losses: list[float] = []
    for a in range(len(embeddings)):
        for b in range(len(embeddings)):
            clips = [i for i in range(len(weights)) if present[i, a] and present[i, b] and weights[i] > 0]
            if a == b or not clips:
                continue
            loss = 0.0
            for i in clips:
                like = [math.exp(cosine(embeddings[a, i], embeddings[b, j]) / 0.07) for j in clips]
                q = [float(i == j) for j in clips]
                if targets is not None:
                    q = [math.exp(float(targets[i] @ targets[j]) / 0.01) for j in clips]
                for positive, value in zip(q, like, strict=True):
                    loss -= weights[i] * positive / sum(q) * math.log(value / sum(like))
            losses.append(loss / weights[clips].sum())
    return float(np.mean(losses)) if losses else 0.0


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def problem(seed: int, num_modalities: int = 3, num_clips: int = 9) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(num_modalities, num_clips, 5, generator=generator).double()
    targets = STATES[torch.randint(36, (num_clips,), generator=generator)].double()
    present = torch.rand(num_clips, num_modalities, generator=generator) > 0.3
    weights = torch.rand(num_clips, generator=generator).double()
    weights[torch.rand(num_clips, generator=generator) < 0.2] = 0
    return embeddings, targets, present, weights


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 9), st.booleans())
def test_it_is_that_of_loops_over_clips(
    seed: int, num_modalities: int, num_clips: int, labelled: bool
) -> None:
    embeddings, targets, present, weights = problem(seed, num_modalities, num_clips)
    given_targets = targets if labelled else None
    ours = pairwise_contrastive(embeddings, given_targets, present, weights).item()
    plain = plain_contrastive(
        embeddings.numpy(), targets.numpy() if labelled else None, present.numpy(), weights.numpy()
    )
    assert ours == pytest.approx(plain, rel=1e-6, abs=1e-8)
    assert ours >= 0


def test_with_everything_present_it_is_torchs_cross_entropy() -> None:
    (a, b), _, _, _ = problem(4, 2)
    unit_a, unit_b = torch.nn.functional.normalize(a, dim=-1), torch.nn.functional.normalize(b, dim=-1)
    logits, labels = unit_a @ unit_b.T / 0.07, torch.arange(9)
    expected = torch.nn.functional.cross_entropy(logits, labels)
    expected = (expected + torch.nn.functional.cross_entropy(logits.T, labels)) / 2
    everywhere, alike = torch.ones(9, 2, dtype=torch.bool), torch.ones(9).double()
    torch.testing.assert_close(pairwise_contrastive(torch.stack([a, b]), None, everywhere, alike), expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.permutations(range(9)), st.permutations(range(3)), st.booleans())
def test_the_order_of_clips_and_modalities_does_not_count(
    seed: int, clips: list[int], modalities: list[int], labelled: bool
) -> None:
    embeddings, targets, present, weights = problem(seed)
    moved = pairwise_contrastive(
        embeddings[modalities][:, clips],
        targets[clips] if labelled else None,
        present[clips][:, modalities],
        weights[clips],
    )
    still = pairwise_contrastive(embeddings, targets if labelled else None, present, weights)
    torch.testing.assert_close(moved, still)


def test_what_an_absent_modality_holds_does_not_count_and_learns_nothing() -> None:
    embeddings, targets, present, weights = problem(11)
    clean = pairwise_contrastive(embeddings, targets, present, weights)
    spoilt = torch.where(present.T[..., None], embeddings, torch.nan).requires_grad_(True)
    value = pairwise_contrastive(spoilt, targets, present, weights)
    torch.testing.assert_close(value, clean)
    (gradient,) = torch.autograd.grad(value, spoilt)
    assert bool(gradient.isfinite().all()) and bool((gradient[~present.T] == 0).all())
    assert bool((gradient != 0).any())


def test_masks_that_differ_between_models_work_under_vmap() -> None:
    problems = [problem(seed) for seed in range(4)]
    stacked = [torch.stack(parts) for parts in zip(*problems, strict=True)]
    together = torch.func.vmap(pairwise_contrastive)(*stacked)
    torch.testing.assert_close(together, torch.stack([pairwise_contrastive(*one) for one in problems]))


def test_unit_targets_make_a_blend_its_own_nearest_positive() -> None:
    space_states = [state.name for state in SPACE.states]
    y = STATES[[space_states.index("ang+hap:70/30"), space_states.index("ang")]]
    apart = torch.eye(2).expand(2, 2, 2)
    everywhere, alike = torch.ones(2, 2, dtype=torch.bool), torch.ones(2)
    plain = pairwise_contrastive(apart, y, everywhere, alike)
    unit = pairwise_contrastive(apart, y, everywhere, alike, unit_targets=True)
    # By the plain product the blend is pulled to the other clip's voice, which costs half of 1 / 0.07.
    assert plain.item() == pytest.approx(0.5 / 0.07, rel=1e-3)
    assert unit.item() == pytest.approx(0, abs=0.05)
    one_hot = torch.eye(2)
    torch.testing.assert_close(
        pairwise_contrastive(apart, one_hot, everywhere, alike, unit_targets=True),
        pairwise_contrastive(apart, one_hot, everywhere, alike),
    )


def test_one_modality_is_refused() -> None:
    embeddings, _, present, weights = problem(1, num_modalities=1)
    with pytest.raises(InputError, match="compares modalities: got 1, expected 2 or more; add an encoder"):
        pairwise_contrastive(embeddings, None, present, weights)
