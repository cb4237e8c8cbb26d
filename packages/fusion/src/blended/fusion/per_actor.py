"""Standardising features over each person's own clips: label-free and transductive.

Who is seen dominates features of faces and voices (BLEMORE, arXiv 2601.13225); what differs between the
clips of one person is what that person does.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from blended.data import InputError

# A feature that does not vary over a person's clips says nothing about them.
SMALLEST_SPREAD = 1e-6


def standardise_per_actor(x_ND: Float[Tensor, "N D"], actors: Sequence[str]) -> Float[Tensor, "N D"]:
    """Zero mean and unit standard deviation of every feature over the clips of each actor.

    Uses all clips of a person, those to be judged included, but no label. Raises InputError if nobody
    says who is seen in a clip.
    """
    if unknown := [row for row, actor in enumerate(actors) if not actor]:
        raise InputError(
            f"standardise: actor needs to know who is seen, but {len(unknown)} of {len(actors)} clips have "
            f"no actor; use standardise: training"
        )
    standardised = torch.empty_like(x_ND)
    for actor in sorted(set(actors)):
        rows = torch.tensor([name == actor for name in actors], device=x_ND.device)
        centred = x_ND[rows] - x_ND[rows].mean(dim=0)
        spread = centred.std(dim=0, correction=0)
        standardised[rows] = centred / torch.where(spread > SMALLEST_SPREAD, spread, 1.0)
    return standardised
