"""Clips and the corpus that holds them."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blended.data.errors import InputError
from blended.data.labels import LabelSpace, Mixture, SoftLabel

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of one actor, with its labels where they are known."""

    id: str
    """The file stem; unique within a corpus."""
    path: Path
    """The media file."""
    actor: str
    """Who is seen; empty where unknown (an unlabelled test clip)."""
    split: Split = "train"
    fold: int | None = None
    """The published validation fold, from 0; None in the test partition."""
    mixture: Mixture | None = None
    """What is annotated, for mixture and single-label tasks; None where withheld."""
    soft: SoftLabel | None = None
    """Rater shares or intensities, where the corpus has them."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """All clips of a corpus and the space of their labels."""

    name: str
    space: LabelSpace
    clips: tuple[Clip, ...]
    synthetic: bool = False
    """True for rendered corpora; every number derived from one is labelled synthetic."""

    def __post_init__(self) -> None:
        """Raises InputError for a duplicated id, an actor in two folds or a clip without a fold."""
        ids = Counter(clip.id for clip in self.clips)
        if repeated := [clip_id for clip_id, count in ids.items() if count > 1]:
            raise InputError(
                f"{self.name}: clip id {repeated[0]!r} occurs {ids[repeated[0]]} times; ids must be unique"
            )
        fold_of_actor: dict[str, int] = {}
        for clip in self.train:
            if clip.fold is None:
                raise InputError(f"{self.name}: training clip {clip.id!r} has no fold")
            seen = fold_of_actor.setdefault(clip.actor, clip.fold)
            if seen != clip.fold:
                raise InputError(
                    f"{self.name}: actor {clip.actor!r} is in fold {seen} and, with clip {clip.id!r}, "
                    f"in fold {clip.fold}; every actor must be in one fold only"
                )
            if clip.mixture is not None:
                self.space.check(clip.mixture)

    @property
    def train(self) -> tuple[Clip, ...]:
        """The clips of the labelled partition."""
        return tuple(clip for clip in self.clips if clip.split == "train")

    @property
    def test(self) -> tuple[Clip, ...]:
        """The clips of the held-out partition."""
        return tuple(clip for clip in self.clips if clip.split == "test")

    @property
    def folds(self) -> tuple[int, ...]:
        """The fold numbers in use, ascending."""
        return tuple(sorted({clip.fold for clip in self.train if clip.fold is not None}))

    def label_hash(self) -> str:
        """SHA-256 over ids, actors, folds and labels: the identity of what is trained on."""
        rows = [(c.id, c.actor, c.split, c.fold, c.mixture.name if c.mixture else None) for c in self.clips]
        text = json.dumps([self.name, self.space.to_dict(), rows], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
