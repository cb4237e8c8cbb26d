"""What surrounds training and does not change its result: where it tells of itself, and where it is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """What the models of the inner folds say after an epoch."""

    number: int
    """From 1, over all stages of a strategy."""
    watched: Sequence[tuple[Int[np.ndarray, "W"], Float[np.ndarray, "W E"]]]
    """Per model that is still trained: its watched clips, and its probabilities for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Batched:
    """A step that was taken."""

    epoch: int
    """Epochs done before it."""
    batch: int
    """From 0, within the epoch."""
    num_batches: int
    """Of the epoch."""
    losses_A: Float[Tensor, "A"]
    """Of every model that is still trained, on the device."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Callbacks and folders."""

    log: Log
    on_epoch: Callable[[Epoch], None] | None = None
    """Called after every epoch of models that are watched; may raise to end the training."""
    checkpoints: Path | None = None
    """Folder from which an interrupted training goes on; None for no checkpoints."""
    checkpoint_seconds: float | int = 20
    """Training that is lost at most; 0 to write one after every epoch."""
    first_epoch: int = 0
    """Epochs of earlier stages."""
    on_batch: Callable[[Batched], None] | None = None
    """Called after every step."""

    def stage(self, name: str, epochs_before: int = 0) -> "Run":
        """The surroundings of a part of the training, with checkpoints of its own."""
        folder = None if self.checkpoints is None else self.checkpoints / name
        return replace(self, checkpoints=folder, first_epoch=self.first_epoch + epochs_before)
