"""Clips that are left out of a corpus on purpose, each with its reason: `exclude.yaml`.

- clip: 03-01-03-01-02-02-07     # an id, `*` and `?` allowed
  reason: the same recording as 03-01-03-01-02-01-07
- file: Actor_05/03-01-05-01-01-01-02     # the end of a path, with or without its suffix
  reason: a misfiled copy that bears another actor's name
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from blended.data.errors import InputError
from blended.data.finding import Finding
from blended.data.text_table import read_utf8

FILE_NAME = "exclude.yaml"


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
    source: str = FILE_NAME
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
