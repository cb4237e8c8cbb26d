"""What the adapter of a corpus is, and what it is given: a folder, and the clips to leave out.

Clips that are left out on purpose are listed in `exclude.yaml`, each with its reason:

- clip: 03-01-03-01-02-02-07     # an id, `*` and `?` allowed
  reason: the same recording as 03-01-03-01-02-01-07
- file: Actor_05/03-01-05-01-01-01-02     # the end of a path, with or without its suffix
  reason: a misfiled copy that bears another actor's name
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from blended.data.clip import Clip, Corpus, Finding
from blended.data.errors import InputError
from blended.data.labels import Mixture
from blended.data.splits import NUM_FOLDS, SPLITS_NAME, assign_folds, read_splits, with_folds
from blended.data.text_table import read_utf8

EXCLUDE_NAME = "exclude.yaml"


class Exclusion(BaseModel):
    """One entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str = ""
    """The id of a clip; `*` and `?` stand for any characters and for one."""
    file: str = ""
    """The last parts of a path, where one id occurs twice."""
    reason: str
    """For the reader; must not be empty."""

    @model_validator(mode="after")
    def _check(self) -> "Exclusion":
        if bool(self.clip) == bool(self.file) or not self.reason.strip():
            raise ValueError("expected either `clip` or `file`, and a `reason`")
        return self

    def fits(self, clip_id: str, path: PurePath) -> bool:
        """Whether it names this clip."""
        if self.clip:
            return fnmatchcase(clip_id, self.clip)
        parts = PurePath(self.file).parts
        names = (path.parts, path.with_suffix("").parts)
        return any(
            all(map(fnmatchcase, name[-len(parts) :], parts)) for name in names if len(name) >= len(parts)
        )


@dataclass(slots=True)
class Exclusions:
    """The entries of one file, and which clips they have taken out so far."""

    entries: tuple[Exclusion, ...] = ()
    source: str = EXCLUDE_NAME
    """The file, for messages."""
    complete: bool = True
    """Whether every entry is meant for this very copy of the corpus; False for a list that ships with us."""
    taken: dict[str, Exclusion] = field(default_factory=dict[str, Exclusion])
    """Path of what was left out, and why."""

    def drop(self, clip_id: str, path: PurePath) -> bool:
        """Whether a clip is to be left out; remembers it."""
        found = next((entry for entry in self.entries if entry.fits(clip_id, path)), None)
        if found is not None:
            self.taken[path.as_posix()] = found
        return found is not None

    def remarks(self) -> Iterator[Finding]:
        """A note for everything left out, and a warning for every entry that named nothing."""
        for path, entry in sorted(self.taken.items()):
            yield Finding("note", PurePath(path).stem, f"left out: {entry.reason.strip()} ({self.source})")
        unused = (
            [entry for entry in self.entries if entry not in self.taken.values()] if self.complete else []
        )
        for entry in unused:
            name = entry.clip or entry.file
            message = (
                f"{self.source} leaves out {name!r}, which is not in the corpus: correct or remove the entry"
            )
            yield Finding("warning", "", message)


def read_exclusions(path: Path, *, complete: bool = True) -> Exclusions:
    """The entries of an `exclude.yaml`; raises InputError for anything but a list of clips with reasons."""
    try:
        raw: object = yaml.safe_load(read_utf8(path))
        entries = TypeAdapter(tuple[Exclusion, ...]).validate_python(raw or ())
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = f"entry {int(problem['loc'][0]) + 1}: " if problem["loc"] else ""
        raise InputError(
            f"{path}: {place}{problem['msg']}; expected a list of `- clip: ID` (or `file: PATH`) with a "
            f"`reason: ...` below"
        ) from error
    return Exclusions(entries, path.name, complete)


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
        path = self.folder / SPLITS_NAME
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
