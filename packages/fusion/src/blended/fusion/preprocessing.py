"""What features go through before a network: standardisation per training part, and PCA whitening.

M models, N clips or time steps, B clips, D feature width, R components. Each model has its own training part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

# A feature that never varies on the training part carries nothing; dividing by its spread would blow up.
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


def fit_standardiser(x_ND: Float[Tensor, "N D"], parts: Sequence[Tensor]) -> Standardiser:
    """Mean and standard deviation over the rows of every training part."""
    means: list[Tensor] = []
    spreads: list[Tensor] = []
    for rows in parts:
        x = x_ND[rows]
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
    x_ND: Float[Tensor, "N D"], standardise: Standardiser, parts: Sequence[Tensor], pca: PCAConfig
) -> tuple[Float[Tensor, "M D R"], Float[Tensor, "M N R"]]:
    """Components per model, cut to the smallest rank among them, and all clips in their coordinates."""
    components: list[Tensor] = []
    coordinates: list[Tensor] = []
    for model, rows in enumerate(parts):
        mean, spread = standardise.mean_MD[model], standardise.spread_MD[model]
        z_ND = (x_ND - mean) / spread
        components.append(fit_components(z_ND[rows], pca))
        coordinates.append(z_ND @ components[-1])
    width = min(part.shape[1] for part in components)
    return (
        torch.stack([part[:, :width] for part in components]),
        torch.stack([part[:, :width] for part in coordinates]),
    )
