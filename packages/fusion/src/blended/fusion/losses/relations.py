"""Losses of what stands in relation: emotions ranked within a clip, modalities of a clip, columns over clips.

Ranking: the metric asks which emotion is the stronger one, or whether both are alike. A pairwise loss says
that directly, where KL mixes it with the calibration of the probabilities. Contrast: the face and the voice
of one clip belong together. Correlation, for intensities, looks at a whole batch: a small one estimates it
badly, so use batches of 64 clips or more.

K modalities, B clips, W embedding width, E emotions.
"""

from dataclasses import dataclass
from itertools import permutations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from blended.data import InputError

# Targets closer than this are equal: shares come as float32 fractions of whole percent or of votes.
SAME_TARGET = 1e-5


def salience_ranking(
    logits: Float[Tensor, "*batch E"],
    targets: Float[Tensor, "*batch E"],
    margin: float = 1.0,
    tie_weight: float = 1.0,
) -> Float[Tensor, "*batch"]:
    """Pairwise ranking of the emotions of each item, >= 0.

    For every ordered pair (i, j) with target_i > target_j: `log(1 + exp(margin - (z_i - z_j)))`. At margin 0
    it is the cost of RankNet for a sure order (Burges et al. 2005, "Learning to Rank using Gradient
    Descent"); the margin makes it a soft hinge. Single clips rank their emotion over all absent ones.
    For every two emotions of equal positive target (50/50): `(z_i - z_j)^2`, which pulls them together.
    RankNet has a cost for ties too, but it is 8 times less curved and grows linearly only, and 50/50 is a
    third of the blends.
    The result is the mean over these pairs, in which an ordered pair weighs 1 and a tied one `tie_weight`
    >= 0 (0: ordered pairs only); 0 where there is no pair. Absent emotions are not tied to each other.

    >>> fifty_fifty = torch.tensor([0.5, 0.5, 0.0])
    >>> apart, alike = torch.tensor([4.0, 0.0, -9.0]), torch.tensor([2.0, 2.0, -9.0])
    >>> [round(salience_ranking(logits, fifty_fifty).item(), 3) for logits in (apart, alike)]
    [5.333, 0.0]
    """
    ahead = logits[..., :, None] - logits[..., None, :]
    difference = targets[..., :, None] - targets[..., None, :]
    present = targets > SAME_TARGET
    ordered = difference > SAME_TARGET
    tied = (difference.abs() <= SAME_TARGET) & present[..., :, None] & present[..., None, :]
    tied = tied.triu(diagonal=1)
    cost = torch.where(ordered, torch.nn.functional.softplus(margin - ahead), 0)
    cost = cost + tie_weight * torch.where(tied, ahead, 0).square()
    total = (ordered + tie_weight * tied).to(logits.dtype).sum(dim=(-2, -1))
    return cost.sum(dim=(-2, -1)) / torch.where(total > 0, total, 1)


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


# Variances below this are none at all; above it, gradients stay within float32.
SMALLEST_VARIANCE = 1e-20

# A spread of fewer than this many rounding steps of the values is rounding.
ROUNDING_STEPS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Weighted population moments of predictions and targets, per column."""

    mean_difference: Float[Tensor, "E"]
    covariance: Float[Tensor, "E"]
    predicted_variance: Float[Tensor, "E"]
    target_variance: Float[Tensor, "E"]


def one_minus_pearson(
    predicted: Float[Tensor, "B E"], targets: Float[Tensor, "B E"], weights: Float[Tensor, "B"]
) -> Float[Tensor, ""]:
    """1 - Pearson's r over the clips of a batch, mean over emotions; in [0, 2] up to rounding.

    The loss for the metric of ABAW5 (arXiv 2303.10741). A column without variance, predicted or true, gives
    1 and no gradient; a batch whose weights are all 0 gives 0.

    >>> truth = torch.tensor([[0.0], [0.5], [1.0]])
    >>> round(one_minus_pearson(3 * truth - 7, truth, torch.ones(3)).item(), 6)
    0.0
    """
    moments = _moments(predicted, targets, weights)
    varies = (moments.predicted_variance > 0) & (moments.target_variance > 0)
    spread = (
        torch.where(varies, moments.predicted_variance, 1).sqrt()
        * torch.where(varies, moments.target_variance, 1).sqrt()
    )
    r = torch.where(varies, moments.covariance / spread, 0)
    return torch.where((weights > 0).any(), (1 - r).mean(), 0)


def one_minus_ccc(
    predicted: Float[Tensor, "B E"], targets: Float[Tensor, "B E"], weights: Float[Tensor, "B"]
) -> Float[Tensor, ""]:
    """1 - concordance correlation over the clips of a batch, mean over emotions; in [0, 2] up to rounding.

    CCC = 2 cov / (var + var + (difference of means)^2) with population moments (Lin 1989, Biometrics 45).
    Unlike Pearson's r it wants the right offset and scale. A column without variance gives 1; constant
    predictions still have a gradient, so training can leave them. Weights all 0 give 0.

    >>> truth = torch.tensor([[0.0], [0.5], [1.0]])
    >>> [round(one_minus_ccc(p, truth, torch.ones(3)).item(), 4) for p in (truth, 1 - truth, truth + 1)]
    [0.0, 2.0, 0.75]
    """
    moments = _moments(predicted, targets, weights)
    distance = moments.predicted_variance + moments.target_variance + moments.mean_difference.square()
    apart = distance > SMALLEST_VARIANCE
    ccc = 2 * moments.covariance / torch.where(apart, distance, 1)
    return torch.where((weights > 0).any(), (1 - ccc).mean(), 0)


def _moments(predicted: Tensor, targets: Tensor, weights: Tensor) -> Moments:
    """Moments over clips of positive weight; a variance that is only rounding is 0, without gradient."""
    there = (weights > 0)[:, None]
    total = weights.sum()
    share = (weights / torch.where(total > 0, total, 1))[:, None]
    # Before anything is multiplied: an absent clip may hold NaN.
    p, t = torch.where(there, predicted, 0), torch.where(there, targets, 0)
    mean_p, mean_t = (share * p).sum(dim=0), (share * t).sum(dim=0)
    centred_p, centred_t = p - mean_p, t - mean_t
    return Moments(
        mean_difference=mean_p - mean_t,
        covariance=(share * centred_p * centred_t).sum(dim=0),
        predicted_variance=_variance(share, p, centred_p),
        target_variance=_variance(share, t, centred_t),
    )


def _variance(share: Tensor, values: Tensor, centred: Tensor) -> Tensor:
    variance = (share * centred.square()).sum(dim=0)
    rounding = ROUNDING_STEPS * torch.finfo(values.dtype).eps
    floor = (share * values.detach().square()).sum(dim=0) * rounding**2 + SMALLEST_VARIANCE
    return torch.where(variance > floor, variance, 0)
