"""What a strategy is trained on: features per encoder or the clips themselves, truth, folds and people."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float16, Int, UInt8
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.data.people import forbid_shared_actors
from blended.fusion.pairs import Nesting
from blended.fusion.sequences import Sequences

PICTURES, SOUND = "pictures", "sound"
MODALITY_OF = {PICTURES: "video", SOUND: "audio"}
"""What a batch holds -> its modality, in the order of `present`."""


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """Prepared clips, which may lie in files that are mapped into memory."""

    pictures: UInt8[np.ndarray, "stored W F height width 3"]
    sound: Float16[np.ndarray, "stored W S M"]
    has_pictures: Bool[np.ndarray, "stored"]
    has_sound: Bool[np.ndarray, "stored"]
    rows: Int[np.ndarray, "N"]
    """Where each clip is stored."""

    @property
    def num_clips(self) -> int:
        """N."""
        return len(self.rows)

    @property
    def tracks(self) -> tuple[str, ...]:
        """`pictures` and `sound`, where any clip has them."""
        there = {PICTURES: self.has_pictures, SOUND: self.has_sound}
        return tuple(name for name, has in there.items() if has[self.rows].any())

    @property
    def whole(self) -> Int[np.ndarray, "_"]:
        """Clips with pictures and sound."""
        return np.flatnonzero((self.has_pictures & self.has_sound)[self.rows])


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Features of the training and the test partition, on one device; training clips come first."""

    space: LabelSpace
    targets: Float[Tensor, "train emotion"]
    """Distribution over emotions, or intensities in [0, 1], per training clip."""
    folds: Int[np.ndarray, "train"]
    """Published fold per training clip."""
    clips: tuple[str, ...]
    """Ids, to name them."""
    actors: tuple[str, ...]
    """Actor per clip; empty where nobody says who is seen in a test clip."""
    modality_of: Mapping[str, str]
    """Encoder -> `audio`, `video` or both."""
    features: Mapping[str, Float[Tensor, "clip _"]] = field(default_factory=dict)
    """Encoder -> one pooled vector per clip; finite."""
    sequences: Mapping[str, Sequences] = field(default_factory=dict)
    """Encoder -> steps over time of every clip; finite."""
    media: Media | None = None
    """The clips themselves, for networks that learn from them."""
    missing: Mapping[str, Bool[np.ndarray, "clip"]] = field(default_factory=dict)
    """Encoder -> clips without its features, whose rows are then 0; encoders that miss none are left out."""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Encoder -> names of the columns of its vectors, where they have names."""
    nesting: Nesting = "plain"
    """What is trained beside the models that are reported, for decisions to be fitted on."""

    def __post_init__(self) -> None:
        """Raises InputError for features that are not finite or lack clips, or an actor in two folds."""
        for name, matrix in self.features.items():
            if len(matrix) != len(self.clips):
                raise InputError(
                    f"features {name!r} cover {len(matrix)} clips, expected the {len(self.clips)} to train "
                    f"and test on"
                )
            self._check_finite(name, matrix)
        for name, given in self.sequences.items():
            self._check_finite(name, given.values_FD, given)
        if not bool(self.targets.isfinite().all()):
            clip = self.clips[int((~self.targets.isfinite().all(dim=1)).nonzero()[0])]
            raise InputError(f"the label of clip {clip!r} is NaN or infinite: correct it in the corpus")
        forbid_shared_actors(self.actors[: self.num_train], self.folds.tolist())

    def _check_finite(self, name: str, values: Tensor, sequences: Sequences | None = None) -> None:
        if bool(values.isfinite().all()):
            return
        row = int((~values.isfinite().all(dim=1)).nonzero()[0])
        clip = row if sequences is None else int(sequences.clip_of_step[row])
        raise InputError(
            f"features {name!r} of clip {self.clips[clip]!r} are NaN or infinite: extract them again, or "
            f"take the clip out"
        )

    @property
    def num_train(self) -> int:
        """Number of training clips."""
        return len(self.targets)
