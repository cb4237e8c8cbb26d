"""What a strategy is trained on: one matrix per encoder, soft targets and folds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from blended.data import InputError
from blended.data.leaks import forbid_shared_actors


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Pooled features of the training and the test partition, on one device."""

    features: Mapping[str, Float[Tensor, "clip _"]]
    """Encoder name -> [clip, dim], finite; the training clips come first, then the test clips."""
    targets: Float[Tensor, "train emotion"]
    """Distribution over emotions per training clip."""
    folds: Int[np.ndarray, "train"]
    """Published fold per training clip."""
    actors: tuple[str, ...]
    """Actor per clip, in the order of the features; empty where nobody says who is seen in a test clip."""

    def __post_init__(self) -> None:
        """Raises InputError for features that are not finite or an actor in two folds."""
        for name, matrix in self.features.items():
            if len(matrix) < len(self.targets):
                raise InputError(
                    f"features {name!r} cover {len(matrix)} clips, fewer than the {len(self.targets)} to "
                    f"train on"
                )
            if not bool(matrix.isfinite().all()):
                row = int((~matrix.isfinite().all(dim=1)).nonzero()[0])
                raise InputError(
                    f"features {name!r} of clip number {row} are NaN or infinite; extract them again"
                )
        forbid_shared_actors(self.actors[: self.num_train], self.folds.tolist())

    @property
    def num_train(self) -> int:
        """Number of training clips."""
        return len(self.targets)
