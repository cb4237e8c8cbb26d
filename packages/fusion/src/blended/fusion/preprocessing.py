"""What features go through before a network: standardisation, per training part or per person, and PCA.

Standardising over each person's own clips is label-free and transductive. Who is seen dominates features of
faces and voices (BLEMORE, arXiv 2601.13225); what differs between the clips of one person is what that person
does. Of a person with few clips (`blended.data.people`) that cannot be told: such a clip is its own mean.

M models, each with its own training part, N clips, R rows (clips or steps of time; of PCA, components), B
clips of a batch, D feature width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.data.people import (
    ENOUGH_FOR_FEATURES,
    believed,
    check_repeated,
    components,
    numbered,
    of_few_clips,
)

# A feature that never varies, on the training part or over a person's clips, says nothing there; dividing by
# its spread would blow up.
SMALLEST_SPREAD = 1e-6
# Directions of less than this share of the largest variance are rounding errors of float32.
SMALLEST_VARIANCE = 1e-6
CACHED_ROWS = 256
"""Rows that a core's cache holds, of features of hundreds of columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Standardiser:
    """Mean and spread of each model's training rows."""

    mean_MD: Float[Tensor, "M D"]
    spread_MD: Float[Tensor, "M D"]

    def __call__(self, x_MBD: Float[Tensor, "M B D"], models: Tensor | None = None) -> Float[Tensor, "M B D"]:
        """Standardised features; of some of the models, if their places are given."""
        mean_MD = self.mean_MD if models is None else self.mean_MD[models]
        spread_MD = self.spread_MD if models is None else self.spread_MD[models]
        return (x_MBD - mean_MD[:, None]) / spread_MD[:, None]

    def in_place(self, x_MBD: Float[Tensor, "M B D"], models: Tensor) -> None:
        """The same of some of the models, written over what is given."""
        for x_BD, model in zip(x_MBD, models.tolist(), strict=True):
            for part in x_BD.split(CACHED_ROWS):
                part.sub_(self.mean_MD[model]).div_(self.spread_MD[model])


def fit_standardiser(
    x_ND: Float[Tensor, "N D"], parts: Sequence[Tensor], *, gaps: bool = False
) -> Standardiser:
    """Mean and standard deviation over the rows of every training part; with `gaps`, over those of each
    column that are not NaN."""
    means: list[Tensor] = []
    spreads: list[Tensor] = []
    for rows in parts:
        x = x_ND[rows]
        if gaps:
            mean = x.nanmean(dim=0).nan_to_num_()
            spread = (x - mean).square_().nanmean(dim=0).nan_to_num_().sqrt_()
        else:
            spread, mean = torch.std_mean(x, dim=0, correction=0)
        means.append(mean)
        spreads.append(torch.where(spread > SMALLEST_SPREAD, spread, 1.0))
    return Standardiser(torch.stack(means), torch.stack(spreads))


class PCAConfig(BaseModel):
    """Principal components of the standardised features of a training part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: int = Field(default=256, ge=1)
    """How many at most; a training part of N clips has fewer than N."""
    whiten: bool = True
    """Every component to unit variance; else all are scaled alike, which keeps distances."""


def fit_components(x_ND: Float[Tensor, "N D"], config: PCAConfig) -> Float[Tensor, "D R"]:
    """The leading components of a standardised (zero-mean) training part; fewer where its rank is lower.

    Coordinates are `x @ components`, with a mean variance of 1 on the training part. Solved on the smaller
    of the N x N and D x D products: features of thousands of columns from a few thousand clips have no more
    than N directions, and keeping all of them without whitening loses nothing.
    """
    num_rows, dim = x_ND.shape
    product = x_ND @ x_ND.T if num_rows < dim else x_ND.T @ x_ND
    values, vectors = torch.linalg.eigh(product)
    kept = (values > SMALLEST_VARIANCE * values[-1]).nonzero().squeeze(1).flip(0)[: config.components]
    spread_R, vectors_R = (values[kept] / num_rows).sqrt(), vectors[:, kept]
    if num_rows < dim:
        vectors_R = x_ND.T @ (vectors_R / values[kept].sqrt())
    scale = 1 / spread_R if config.whiten else 1 / spread_R.square().mean().sqrt()
    return vectors_R * scale


def rotated(
    x_ND: Float[Tensor, "N D"],
    standardise: Standardiser,
    parts: Sequence[Tensor],
    pca: PCAConfig,
    *,
    gaps: bool = False,
) -> tuple[Float[Tensor, "M D R"], Float[Tensor, "M N R"]]:
    """Components per model, cut to the smallest rank among them, and all clips in their coordinates.

    With `gaps`, what is NaN counts as the mean.
    """
    components: list[Tensor] = []
    coordinates: list[Tensor] = []
    for model, rows in enumerate(parts):
        mean, spread = standardise.mean_MD[model], standardise.spread_MD[model]
        z_ND = (x_ND - mean) / spread
        if gaps:
            z_ND.nan_to_num_(nan=0.0)
        components.append(fit_components(z_ND[rows], pca))
        coordinates.append(z_ND @ components[-1])
    width = min(part.shape[1] for part in components)
    return (
        torch.stack([part[:, :width] for part in components]),
        torch.stack([part[:, :width] for part in coordinates]),
    )


def standardise_per_actor(
    x_RD: Float[Tensor, "R D"], actors: Sequence[str], clip_of_row: Int[Tensor, "R"] | None = None
) -> Float[Tensor, "R D"]:
    """Zero mean and unit standard deviation of every feature over the rows of each actor.

    `actors` says who is seen in every clip (empty: somebody else each time), `clip_of_row` whose step of
    time a row is; without it every clip has one row. Uses all rows of a person, those to be judged included,
    but no label. People with few clips are standardised as far as these can be believed against everybody's:
    see `_of_few`. Raises InputError where too few clips are of somebody seen in another.
    """
    clip_of_row = torch.arange(len(actors), device=x_RD.device) if clip_of_row is None else clip_of_row
    clips, place_of_row = clip_of_row.unique(return_inverse=True)
    places: list[int] = clips.tolist()
    people_N = numbered([actors[place] for place in places])
    check_repeated(people_N, "standardise: actor")
    few_N = of_few_clips(people_N, ENOUGH_FOR_FEATURES)
    person_R = torch.from_numpy(people_N).to(x_RD.device)[place_of_row]
    standardised = torch.empty_like(x_RD)
    for person in np.unique(people_N[~few_N]).tolist():
        rows = (person_R == person).nonzero().squeeze(1)
        spread, mean = torch.std_mean(x_RD[rows], dim=0, correction=0)
        standardised[rows] = (x_RD[rows] - mean) / torch.where(spread > SMALLEST_SPREAD, spread, 1.0)
    if few_N.any():
        rows = torch.from_numpy(few_N).to(x_RD.device)[place_of_row]
        mean_ND, spread_D = _of_few(x_RD, place_of_row, people_N)
        standardised[rows] = (x_RD[rows] - mean_ND[place_of_row[rows]]) / spread_D
    return standardised


def _of_few(
    x_RD: Float[Tensor, "R D"], place_of_row: Int[Tensor, "R"], people_N: np.ndarray
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "D"]]:
    """What a clip is standardised by if its person has few: the best linear prediction of the person's mean,
    and the spread within people, both by components of variance of the clips' means.

    With K clips the mean goes K / (K + within / between) of the way from everybody's to the clips' own: a
    clip keeps most of a feature in which people do not differ, and little of one that tells who is seen. The
    spread is everybody's: a variance from a few clips is off by more than people differ in it.
    """
    num_clips = len(people_N)
    x = x_RD.double()
    rows_N = torch.bincount(place_of_row, minlength=num_clips).unsqueeze(1)
    mean_ND = x.new_zeros(num_clips, x.shape[1]).index_add_(0, place_of_row, x) / rows_N
    off_ND = torch.zeros_like(mean_ND).index_add_(0, place_of_row, (x - mean_ND[place_of_row]).square())
    steps_D = (off_ND / rows_N).mean(dim=0)
    clips_ND = mean_ND.cpu().numpy()
    found = components(clips_ND, people_N)
    _, person_N, count_N = np.unique(people_N, return_inverse=True, return_counts=True)
    own_PD = np.stack([clips_ND[person_N == person].mean(axis=0) for person in range(len(count_N))])
    weight_PD = np.stack([believed(int(count), found.between, found.within) for count in count_N])
    known_ND = (found.mean + weight_PD * (own_PD - found.mean))[person_N]
    spread_D = (torch.from_numpy(found.within).to(x.device) + steps_D).sqrt()
    spread_D = torch.where(spread_D > SMALLEST_SPREAD, spread_D, 1.0)
    return torch.from_numpy(known_ND).to(x_RD), spread_D.to(x_RD.dtype)
