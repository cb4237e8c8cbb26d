"""What the adapter of a corpus is: the one file that knows its names, its tables and its layout."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from blended.data.clip import Clip, Corpus
from blended.data.exclusions import Exclusions
from blended.data.labels import Mixture
from blended.data.splits import FILE_NAME, NUM_FOLDS, assign_folds, read_splits, with_folds


@dataclass(frozen=True, slots=True)
class About:
    """Where a corpus comes from, for its data card."""

    title: str
    licence: str
    """SPDX identifier, or the terms in words."""
    citation: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a corpus folder is to be read."""

    folder: Path
    labels_only: bool = False
    """Without recordings: from tables alone."""
    excluded: Exclusions = field(default_factory=Exclusions)
    """What an adapter must leave out, before it judges a name or a label."""
    num_folds: int | None = None
    """Of corpora without published folds; None for as many as is usual for the corpus."""
    seed: int = 0
    """Of those folds."""

    def folded(self, clips: Sequence[Clip], usual: int = NUM_FOLDS) -> tuple[Clip, ...]:
        """The clips in the folds of `splits.csv` or, where there is none, in folds made from the seed."""
        path = self.folder / FILE_NAME
        if path.is_file():
            return read_splits(clips, path)
        train = [clip for clip in clips if clip.split == "train"]
        return with_folds(clips, assign_folds(train, self.num_folds or usual, self.seed))


def anywhere(path: PurePosixPath) -> PurePosixPath | None:
    """The place of a file that a corpus keeps where it lies."""
    return path


def withheld(folder: Path) -> None:
    """What is known of the labels of the test partition where their authors keep them."""
    del folder


def unknown_ceiling(folder: Path) -> dict[str, dict[str, float]]:
    """How well a corpus could be read at best, where nobody can say."""
    del folder
    return {}


@dataclass(frozen=True, slots=True)
class Adapter:
    """One row of the table of corpora."""

    read: Callable[[Reading], Corpus]
    """Raises InputError naming file and row for whatever cannot be read; what is merely odd is a remark."""
    about: About
    place: Callable[[PurePosixPath], PurePosixPath | None] = anywhere
    """Where a file of a source goes in the corpus folder; None for one that is no part of the corpus."""
    holds: str = "recordings and their table"
    """What a source is expected to hold, for messages."""
    has_published_folds: bool = False
    """Whether the corpus says who is in which fold; if not, importing writes `splits.csv`."""
    exclude: str = ""
    """The list that ships for this corpus, a file in `exclude/`; a corpus folder's own list replaces it."""
    held_out_truth: Callable[[Path], Mapping[str, Mixture] | None] = withheld
    """Corpus folder -> labels of the test clips by id, for scoring after everything has been decided; None
    where they are withheld."""
    ceiling: Callable[[Path], Mapping[str, Mapping[str, float]]] = unknown_ceiling
    """Corpus folder -> what an oracle sees -> the metrics that it reaches; empty where nobody can say."""
    groupings: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    """Name of a grouping, such as `intensity level` -> group of a clip by its id; results are broken down by
    it."""
