"""Clips of the person who is judged, without labels: what transductive runs ask for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from blended.data import InputError
from blended.data.people import ENOUGH_FOR_FEATURES, ENOUGH_FOR_SCORES
from blended.fusion.sequences import Sequences, chosen, joined
from blended.fusion.strategy import Features
from blended.studies.pipeline import PipelineRecord

MIN_ENROL_CLIPS = ENOUGH_FOR_FEATURES + 1
"""Where features are standardised per person. Fewer clips say too little about how a person always looks and
sounds: standardised over K random clips of each person besides the one judged, two real HiCMAE outputs for
BLEMORE scored below no calibration for K = 2 and 4 and above it for 8 (LOG.md, "Enrolment clips")."""


@dataclass(frozen=True, slots=True, eq=False)
class Enrolment:
    """A person's clips, encoded."""

    paths: tuple[Path, ...]
    """Resolved."""
    features: Features

    def beside(self, path: Path, features: Features) -> Features:
        """The person's clips, and a piece of a file as the last row; the file itself is not counted twice."""
        rows = [number for number, other in enumerate(self.paths) if other != path.resolve()]
        kept = {name: self.features[name] for name in features}
        return _joined([_taken(kept, rows), features])


def min_clips(record: PipelineRecord) -> int:
    """How many clips a run needs of a person.

    None where only scores are normalised: few clips are believed no more than they deserve, and of nobody
    known, scores are normalised like anybody's (`blended.eval.normalisation`).
    """
    return MIN_ENROL_CLIPS if record.config.protocol.features_per_actor else 0


def enrol(paths: Sequence[Path], encode: Callable[[Path], Features], minimum: int) -> Enrolment:
    """Encodes the clips of one person; raises InputError if they are too few or lack sound or picture."""
    if len(paths) < minimum:
        raise InputError(
            f"{len(paths)} clips to enrol a person from, expected at least {minimum}, of varied "
            f"expressions: add clips, or use a run that does not compare clips of a person"
        )
    encoded = [encode(path) for path in paths]
    names = list(dict.fromkeys(name for features in encoded for name in features))
    for path, features in zip(paths, encoded, strict=True):
        if lacking := [name for name in names if name not in features]:
            raise InputError(
                f"{path} has nothing for {lacking[0]}, which the other enrolment clips have: remove it"
            )
    return Enrolment(tuple(path.resolve() for path in paths), _joined(encoded))


def check_enrolment(record: PipelineRecord, *, given: bool) -> None:
    """Raises InputError where clips of the person are needed and not given, or given and of no use."""
    if min_clips(record) and not given:
        raise InputError(
            f"the run {record.recipe!r} judges a clip against other clips of the same person: name a folder "
            f"of at least {min_clips(record)} of them, unlabelled and of varied expressions, with "
            f"--enrol-from (in training there were {record.clips_per_actor:.0f} per person), or use a run "
            f"that is not transductive"
        )
    if given and not record.transductive:
        raise InputError(
            f"the run {record.recipe!r} judges every clip by itself, so clips of the person change nothing: "
            f"leave out --enrol-from, or use a transductive run"
        )


def enrolment_notes(record: PipelineRecord, enrolment: Enrolment | None) -> list[str]:
    """In words, what is known of the person, where the run asks for it."""
    if not record.transductive:
        return []
    if enrolment is None:
        return ["judged like anybody: clips of the same person (--enrol-from) would make the answer better"]
    given = len(enrolment.paths)
    if given < ENOUGH_FOR_SCORES:
        return [f"enrolled from {given} clip{'s'[: given != 1]}; {ENOUGH_FOR_SCORES} or more are better"]
    return []


def _joined(parts: Sequence[Features]) -> dict[str, Tensor | Sequences]:
    """The clips of all parts, which have the same encoders."""
    return {name: _of_all([part[name] for part in parts]) for name in parts[0]}


def _taken(features: Features, rows: Sequence[int]) -> dict[str, Tensor | Sequences]:
    """Some of the clips, in the order given."""
    return {
        name: given[list(rows)] if isinstance(given, Tensor) else chosen(given, rows)
        for name, given in features.items()
    }


def _of_all(parts: Sequence[Tensor | Sequences]) -> Tensor | Sequences:
    vectors = [part for part in parts if isinstance(part, Tensor)]
    if vectors:
        return torch.cat(vectors)
    return joined([part for part in parts if isinstance(part, Sequences)])


def enrolled(
    record: PipelineRecord, encode: Callable[[Path], Features], folder: Path | None
) -> Enrolment | None:
    """The clips of a folder as a person's; raises InputError where they are needed and none are named."""
    check_enrolment(record, given=folder is not None)
    return None if folder is None else enrol(media_files([folder]), encode, min_clips(record))


SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".wav", ".flac", ".mp3", ".m4a", ".ogg"}
)
"""What is taken from a folder; a file that is named itself may have any name."""


def media_files(given: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the media files in them, by name; each file once.

    Raises InputError for a path that does not exist and for a folder without a media file.
    """
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(
            one
            for one in path.iterdir()
            if one.is_file() and one.suffix.lower() in SUFFIXES and not one.name.startswith(".")
        )
        if not found:
            raise InputError(f"{path} has no media file, expected some of {', '.join(sorted(SUFFIXES))}")
        files += found
    return list(dict.fromkeys(files))
