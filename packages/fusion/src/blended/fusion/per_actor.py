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
    """Zero mean and unit standard deviation of every feature over the rows of each actor.

    `actors` says who is seen in every row, a clip or a step of time. Uses all rows of a person, those to be
    judged included, but no label. Raises InputError if nobody says who is seen.
    """
    if unknown := sum(not actor for actor in actors):
        raise InputError(
            f"standardise: actor needs to know who is seen, but {unknown} of {len(actors)} clips have "
            f"no actor; use standardise: training"
        )
    standardised = torch.empty_like(x_ND)
    names = {name: number for number, name in enumerate(sorted(set(actors)))}
    number_N = torch.tensor([names[actor] for actor in actors], device=x_ND.device)
    for number in names.values():
        rows = (number_N == number).nonzero().squeeze(1)
        spread, mean = torch.std_mean(x_ND[rows], dim=0, correction=0)
        standardised[rows] = (x_ND[rows] - mean) / torch.where(spread > SMALLEST_SPREAD, spread, 1.0)
    return standardised
