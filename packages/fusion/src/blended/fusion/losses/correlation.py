"""Correlation losses for intensities: 1 - Pearson's r and 1 - CCC, mean over emotions.

Both look at a whole batch: a small one estimates them badly, so use batches of 64 clips or more.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

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
