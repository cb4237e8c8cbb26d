"""Salience as a ranking of the emotions of a clip.

The metric asks which emotion is the stronger one, or whether both are alike. A pairwise loss says that
directly, where KL mixes it with the calibration of the probabilities.
"""

import torch
from jaxtyping import Float
from torch import Tensor

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
