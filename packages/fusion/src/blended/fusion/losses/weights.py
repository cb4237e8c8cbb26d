"""How much a clip counts: the balance of single and blended clips, and means over weighted clips."""

import torch
from jaxtyping import Float
from torch import Tensor

from blended.data import InputError


def clip_weights(targets: Float[Tensor, "N E"], balance: float | None) -> Float[Tensor, "N"]:
    """Weight of every clip of a training part, so that the blends together weigh `balance` of the total.

    Computed once on a whole training part, not per batch. A blend has two or more emotions with a positive
    target. Weights are >= 0 with mean 1. `balance` None, or a part without blends or without singles: all 1.
    Given a balance, a row of zeros (padding, withheld label) weighs 0 and is not counted.
    Why explicit: the public HiCMAE fine-tuning on BLEMORE weighed blends about 100 times more by its choice
    of targets, and called most of the singles blends.
    Raises InputError for a balance outside (0, 1).

    >>> three_singles_one_blend = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.7, 0.3]])
    >>> clip_weights(three_singles_one_blend, 0.5).tolist()
    [0.6666..., 0.6666..., 0.6666..., 2.0]
    """
    if balance is None:
        return torch.ones_like(targets[..., 0])
    if not 0 < balance < 1:
        raise InputError(
            f"the balance of blends is {balance:g}, expected a number between 0 and 1, both excluded: the "
            "share of the loss that the blends get, such as 0.5; leave it out to weigh all clips alike"
        )
    num_present = (targets > 0).sum(dim=-1)
    blend = (num_present >= 2).to(targets.dtype)
    single = (num_present == 1).to(targets.dtype)
    num_blends, num_singles = blend.sum(), single.sum()
    total = num_blends + num_singles
    per_blend = balance * total / num_blends.clamp(min=1)
    per_single = (1 - balance) * total / num_singles.clamp(min=1)
    both_kinds = (num_blends > 0) & (num_singles > 0)
    return torch.where(both_kinds, blend * per_blend + single * per_single, blend + single)


def weighted_mean(
    losses: Float[Tensor, "*batch item"], weights: Float[Tensor, "*batch item"]
) -> Float[Tensor, "*batch"]:
    """Mean of losses over items with weights >= 0; 0 where all weights are 0.

    Items of weight 0 are not there, even when their loss is NaN.

    >>> weighted_mean(torch.tensor([1.0, 4.0, torch.nan]), torch.tensor([2.0, 1.0, 0.0])).item()
    2.0
    """
    total = weights.sum(dim=-1)
    summed = (torch.where(weights > 0, losses, 0) * weights).sum(dim=-1)
    return summed / torch.where(total > 0, total, 1)
