"""The files of a run by name, and whether they are those that were written; needs nothing that trains.

metrics.json, confusion.png     for DVC
artifacts/                      predictions, pipeline (see `pipeline`), extras (see `extras`), pictures
artifacts/run.json              the record: what was trained, on what, and where it is tracked
artifacts/manifest.json         a checksum of each, written last: what makes a run complete
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blended.data.atomic import replacing
from blended.data.checksums import MANIFEST, DamagedError, Fault, faults_of, write_manifest
from blended.data.errors import some

METRICS, CONFUSION, ARTIFACTS = "metrics.json", "confusion.png", "artifacts"
PREDICTIONS, TEST_PREDICTIONS = "predictions.parquet", "test_predictions.parquet"
RECORD, PIPELINE, DECISION, MODEL = "run.json", "pipeline.json", "decision.json", "final.safetensors"
ENROLMENT, WITHOUT = "enrolment.csv", "without.json"
IMPORTANCE, PREDICTORS, WEIGHTS = "importance.json", "predictors.json", "weights.json"
EXTRAS = (ENROLMENT, IMPORTANCE, PREDICTORS, WITHOUT, WEIGHTS)
PICTURES = ("importance", "predictors", "gates", "encoder_weights", "attention")
"""Figures that are kept beside a run's files; MLflow and the report have all of them."""

NEEDED = (f"../{METRICS}", f"../{CONFUSION}", RECORD, PREDICTIONS, MODEL)
"""From the artifacts; a run without one of them is none."""
OPTIONAL = (TEST_PREDICTIONS, PIPELINE, DECISION, *EXTRAS, *(f"{name}.png" for name in PICTURES))
CHECKSUMS = "checksums"
"""The entry of a record that says that there is a manifest; records of before have none."""


def open_run(folder: Path) -> None:
    """Before anything is written: from now on the folder holds no run, until it is closed."""
    # The manifest last: without it and with a record the folder would look like one of before checksums.
    for name in (RECORD, MANIFEST):
        (folder / ARTIFACTS / name).unlink(missing_ok=True)


def close_run(folder: Path) -> None:
    """After everything is written: lists the files with their checksums."""
    artifacts = folder / ARTIFACTS
    write_manifest(artifacts, [name for name in (*NEEDED, *OPTIONAL) if (artifacts / name).is_file()])


def read_record(folder: Path) -> Mapping[str, Any] | None:
    """The record of a complete run, all of whose files are as they were written; None if there is no run.

    Raises DamagedError that names the files that are not. Those of a run of before checksums are not looked
    at (`is_checked`).
    """
    if faults := run_faults(folder):
        raise DamagedError(f"{'; '.join(map(str, faults))}: `blended train {folder.name}` makes the run anew")
    return record_unchecked(folder)


def record_unchecked(folder: Path) -> Mapping[str, Any] | None:
    """The same for who has looked at `run_faults`."""
    artifacts = folder / ARTIFACTS
    if not all((artifacts / name).is_file() for name in NEEDED):
        return None
    return json.loads((artifacts / RECORD).read_bytes())


def run_faults(folder: Path) -> list[Fault]:
    """What is wrong with the files of a run; nothing, if there is none, or one of before checksums."""
    artifacts = folder / ARTIFACTS
    if (artifacts / MANIFEST).is_file():
        return faults_of(artifacts, strangers=OPTIONAL)
    record = artifacts / RECORD
    if not record.is_file():
        return []
    try:
        fields = json.loads(record.read_bytes())
    except ValueError as error:
        return [Fault(record, f"is damaged ({error})")]
    if not isinstance(fields, dict):
        return [Fault(record, f"is damaged: it holds {fields!r}, expected the record of a run")]
    return [Fault(artifacts / MANIFEST, "is missing")] if CHECKSUMS in fields else []


def is_checked(artifacts: Path) -> bool:
    """Whether a folder of artifacts, or of a pipeline, says what its files are; those of before do not."""
    return (artifacts / MANIFEST).is_file()


def unchecked(artifacts: Path, recipe: str) -> str:
    """What a reader of files of before checksums must know."""
    return (
        f"{artifacts} has no {MANIFEST} (it was made before checksums, or copied without): nobody can say "
        f"whether its files are as they were written; `blended train {recipe}` makes them anew"
    )


def unchecked_runs(recipes: Sequence[str]) -> str:
    """The same of the runs of several recipes."""
    return (
        f"{some(recipes)}: no {MANIFEST} (it was made before checksums, or copied without): nobody can "
        f"say whether the files are as they were written; `dvc repro` makes them anew"
    )


def write_pictures(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """The confusion matrix, and beside a run's files PNGs of what it relies on; removes those of before."""
    with replacing(folder / CONFUSION) as temporary:
        temporary.write_bytes(pictures[CONFUSION])
    for name in PICTURES:
        path = folder / ARTIFACTS / f"{name}.png"
        path.unlink(missing_ok=True)
        if name in pictures:
            with replacing(path) as temporary:
                temporary.write_bytes(pictures[name])
