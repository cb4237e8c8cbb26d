"""Clips of the person who is judged, without labels: what transductive runs ask for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blended.data import InputError
from blended.studies.new_features import Features, stacked, taken
from blended.studies.pipeline import PipelineRecord

MIN_ENROL_CLIPS = 8
"""Fewer clips say too little about how a person always looks and sounds. On two real HiCMAE outputs for
BLEMORE, standardised over K random clips of each person besides the one judged (one draw), a multinomial
with a fixed penalty scored .114, .156, .212, .231 and .258 for K = 1, 2, 4, 8 and 12, against .209 without
any calibration."""

ENOUGH_CLIPS = 16
"""There .267 and, with all clips of a person, .280."""


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
        return stacked([taken(kept, rows), features])


def enrol(paths: Sequence[Path], encode: Callable[[Path], Features]) -> Enrolment:
    """Encodes the clips of one person; raises InputError if they are too few or lack sound or picture."""
    if len(paths) < MIN_ENROL_CLIPS:
        raise InputError(
            f"{len(paths)} clips to enrol a person from, expected at least {MIN_ENROL_CLIPS}, of varied "
            f"expressions: add clips, or use a run that does not compare clips of a person"
        )
    encoded = [encode(path) for path in paths]
    names = list(dict.fromkeys(name for features in encoded for name in features))
    for path, features in zip(paths, encoded, strict=True):
        if lacking := [name for name in names if name not in features]:
            raise InputError(
                f"{path} has nothing for {lacking[0]}, which the other enrolment clips have: remove it"
            )
    return Enrolment(tuple(path.resolve() for path in paths), stacked(encoded))


def check_enrolment(record: PipelineRecord, *, given: bool) -> None:
    """Raises InputError where clips of the person are needed and not given, or given and of no use."""
    if record.transductive and not given:
        raise InputError(
            f"the run {record.recipe!r} judges a clip against other clips of the same person: name a folder "
            f"of at least {MIN_ENROL_CLIPS} of them, unlabelled and of varied expressions, with --enrol-from "
            f"(in training there were {record.clips_per_actor:.0f} per person), or use a run that is not "
            f"transductive"
        )
    if given and not record.transductive:
        raise InputError(
            f"the run {record.recipe!r} judges every clip by itself, so clips of the person change nothing: "
            f"leave out --enrol-from, or use a transductive run"
        )
