"""Clips and corpora, and what is found about them."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blended.data.errors import InputError
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.people import forbid_shared_actors

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
"""Most urgent first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one clip, or about the corpus."""

    level: Level
    """`error` stops a run, `warning` may spoil its numbers, `note` is for the reader."""
    clip_id: str
    """Empty for the corpus as a whole."""
    message: str
    """What was found and what to do."""
    unusable: bool = False
    """Whether the clip cannot be encoded, so that a run may go on without it (`max_failures`)."""


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
    has_media: bool = True
    """False for labels without recordings: nothing can be measured or encoded."""
    remarks: tuple[Finding, ...] = ()
    """What its adapter found odd in names and tables, and which clips were left out, with reasons."""

    def __post_init__(self) -> None:
        """Raises InputError for a duplicated id, no fold, or another task's label."""
        ids = Counter(clip.id for clip in self.clips)
        if repeated := [clip_id for clip_id, count in ids.items() if count > 1]:
            raise InputError(
                f"{self.name}: clip id {repeated[0]!r} occurs {ids[repeated[0]]} times; ids must be unique"
            )
        for clip in self.clips:
            if clip.split == "train" and clip.fold is None:
                raise InputError(f"{self.name}: training clip {clip.id!r} has no fold")
            try:
                self.space.check_label(clip.mixture, clip.soft)
            except InputError as error:
                raise InputError(f"{self.name}: clip {clip.id!r}: {error}") from error

    def forbid_leaks(self) -> None:
        """Raises InputError for an actor in two folds, or in a fold and the test partition.

        Not asked when the corpus is made, so that `findings.check` can name them all; no index of such a
        corpus is written or read, and every trainer asks again.
        """
        parts = [clip.fold if clip.split == "train" else "test" for clip in self.clips]
        try:
            forbid_shared_actors([clip.actor for clip in self.clips], parts)
        except InputError as error:
            raise InputError(f"{self.name}: {error}; every actor must be in one fold only") from error

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

    def target(self, clip: Clip, *, soft: bool = False) -> list[float]:
        """What a model is trained on for a clip: one value per emotion of the space, in its order.

        Shares or a 1 for the labelled emotion; the intensities where these are the task; with `soft`,
        the distribution over raters where there is one. Raises InputError for a clip without a label.
        """
        rated = clip.soft is not None and (soft or self.space.task == "intensities")
        if clip.soft is not None and (rated or clip.mixture is None):
            return [*clip.soft.values]
        if clip.mixture is None:
            raise InputError(
                f"clip {clip.id!r} has no label; label it or move it to the test partition of {self.name}"
            )
        return self.space.target(clip.mixture)

    def label_hash(self) -> str:
        """SHA-256 over ids, actors, folds and labels: the identity of what is trained on."""
        rows: list[tuple[object, ...]] = [
            (c.id, c.actor, c.split, c.fold, c.mixture.name if c.mixture else None)
            # Rater shares change what is trained on; a corpus without any keeps the hash that it had.
            + ((c.soft.kind, *c.soft.values) if c.soft else ())
            for c in self.clips
        ]
        text = json.dumps([self.name, self.space.to_dict(), rows], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
