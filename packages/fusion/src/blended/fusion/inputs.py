"""What a strategy is trained on: one matrix per encoder, soft targets and folds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from blended.data import InputError


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
    """Actor per training clip."""

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
        forbid_shared_actors(self.actors, self.folds)

    @property
    def num_train(self) -> int:
        """Number of training clips."""
        return len(self.targets)


def forbid_shared_actors(actors: tuple[str, ...], folds: Int[np.ndarray, "train"]) -> None:
    """Raises InputError if an actor's clips lie in more than one fold.

    Every trainer calls this: a model that has seen an actor of the fold it is judged on reports how
    well it remembers people.
    """
    fold_of: dict[str, int] = {}
    for actor, fold in zip(actors, folds.tolist(), strict=True):
        if fold_of.setdefault(actor, fold) != fold:
            raise InputError(
                f"actor {actor!r} is in folds {fold_of[actor]} and {fold}: a model would be judged on an "
                f"actor that it was trained on; make the folds actor-disjoint"
            )
