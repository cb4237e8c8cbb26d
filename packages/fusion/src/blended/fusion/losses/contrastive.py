"""Contrastive loss between modalities: the face and the voice of one clip belong together.

K modalities, B clips, W embedding width, E emotions.
"""

from itertools import permutations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from blended.data import InputError

# Added to squared lengths: an embedding of zeros has no direction, and must not give an infinite gradient.
SMALLEST_SQUARE = 1e-12


def pairwise_contrastive(
    embeddings: Float[Tensor, "K B W"],
    targets: Float[Tensor, "B E"] | None,
    present: Bool[Tensor, "B K"],
    weights: Float[Tensor, "B"],
    temperature: float = 0.07,
    label_temperature: float = 0.01,
    unit_targets: bool = False,
) -> Float[Tensor, ""]:
    """InfoNCE averaged over ordered pairs of modalities, in nats, >= 0.

    For modalities a and b, over the clips i that have both and a positive weight: the cross-entropy between
    q_i and softmax_j(cos(a_i, b_j) / temperature), averaged with the clips' weights (Franceschini et al.,
    ICPR 2022, arXiv 2207.11482). Without targets q_i is the clip itself; with targets it is
    softmax_j(y_i y_j / label_temperature), so clips with like labels are positives too.
    Pairs that no clip has are left out of the average; 0 where there is none.

    `unit_targets` scales the rows of the targets to length 1 first. For one-hot labels nothing changes. For
    blends it does: by the plain product a 70/30 clip is nearer to a single clip of its stronger emotion
    (0.70) than to itself (0.58).
    Raises InputError for fewer than two modalities.

    >>> apart = torch.eye(3)
    >>> matched, swapped = torch.stack([apart, apart]), torch.stack([apart, apart.roll(1, dims=0)])
    >>> everywhere, alike = torch.ones(3, 2, dtype=torch.bool), torch.ones(3)
    >>> [round(pairwise_contrastive(e, None, everywhere, alike).item(), 3) for e in (matched, swapped)]
    [0.0, 14.286]
    """
    num_modalities = len(embeddings)
    if num_modalities < 2:
        raise InputError(
            f"the contrastive loss compares modalities: got {num_modalities}, expected 2 or more; add an "
            "encoder of another modality, or leave this loss out"
        )
    unit = _unit_length(torch.where((present.T & (weights > 0))[..., None], embeddings, 0))
    losses: list[Tensor] = []
    counts: list[Tensor] = []
    for a, b in permutations(range(num_modalities), 2):
        clip_weights = torch.where(present[:, a] & present[:, b], weights, 0)
        there = clip_weights > 0
        log_p = _log_softmax_over(unit[a] @ unit[b].T / temperature, there)
        q = _positives(targets, there, label_temperature, unit_targets, log_p)
        of_clip = -torch.where(there, q * log_p, 0).sum(dim=-1)
        total = clip_weights.sum()
        losses.append((of_clip * clip_weights).sum() / torch.where(total > 0, total, 1))
        counts.append((total > 0).to(total.dtype))
    return torch.stack(losses).sum() / torch.stack(counts).sum().clamp(min=1)


def _positives(
    targets: Tensor | None, there: Tensor, label_temperature: float, unit_targets: bool, like: Tensor
) -> Tensor:
    """[B, B]: how much clip j is a positive of clip i; rows add up to 1 over the clips that are there."""
    if targets is None:
        return torch.eye(len(like), dtype=like.dtype, device=like.device)
    y = torch.where(there[:, None], targets, 0)
    if unit_targets:
        y = _unit_length(y)
    return _log_softmax_over(y @ y.T / label_temperature, there).exp()


def _log_softmax_over(logits: Tensor, there: Tensor) -> Tensor:
    """Log-softmax over the columns that are there; finite, if useless, where none is."""
    return torch.log_softmax(torch.where(there, logits, torch.finfo(logits.dtype).min), dim=-1)


def _unit_length(x: Tensor) -> Tensor:
    return x * (x.square().sum(dim=-1, keepdim=True) + SMALLEST_SQUARE).rsqrt()
