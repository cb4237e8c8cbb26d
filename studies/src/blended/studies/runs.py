"""What a trained recipe leaves on disk, and reading it back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blended.data import LabelSpace
from blended.data.atomic import replacing, write_text
from blended.data.manifest import NAME as MANIFEST
from blended.data.tensor_file import write_tensors
from blended.eval.predictions import Predictions, read_predictions, write_predictions
from blended.eval.tasks import MEASURES, AnyEvaluation
from blended.studies.extras import Extras, read_extras, write_extras
from blended.studies.run_files import (
    ARTIFACTS,
    CHECKSUMS,
    CONFUSION,
    METRICS,
    MODEL,
    PICTURES,
    PREDICTIONS,
    RECORD,
    TEST_PREDICTIONS,
    close_run,
    is_checked,
    open_run,
    read_record,
)
from blended.studies.trial import TrialConfig, TrialResult


@dataclass(frozen=True, slots=True, eq=False)
class StoredRun:
    """A trained recipe as it lies on disk."""

    recipe: str
    config: TrialConfig
    identity: str
    corpus_hash: str
    modalities: tuple[str, ...]
    skipped: tuple[str, ...]
    run_id: str | None
    """Of the tracked run."""
    checked: bool
    """Whether its files have checksums; not of a run of before them."""
    train: Predictions
    test: Predictions | None
    extras: Extras = field(default_factory=Extras)


def metrics(result: TrialResult) -> dict[str, Any]:
    """Numbers for `dvc metrics show`: the headline, the folds, and apart from them the optimistic way."""
    optimistic = {} if result.in_fold is None else {"in_fold_optimistic": _numbers(result.in_fold)}
    return {"cross_fold": _numbers(result.cross_fold), **optimistic}


def _numbers(evaluation: AnyEvaluation) -> dict[str, Any]:
    values = {key: estimate.value for key, estimate in evaluation.measured.items()}
    bounds = {
        f"{MEASURES[key].short}_{side}": getattr(estimate, side)
        for key, estimate in evaluation.measured.items()
        for side in ("low", "high")
    }
    folds = {f"fold{fold.fold}": {**fold.numbers, **fold.parameters} for fold in evaluation.folds}
    return {**values, **bounds, **folds}


def write_run(folder: Path, recipe: str, result: TrialResult, confusion_png: bytes) -> None:
    """Everything but the record and the manifest, which `finish_run` adds last."""
    # A run without its record is not a run: removing it first keeps old numbers from new predictions.
    open_run(folder)
    artifacts = folder / ARTIFACTS
    space = result.corpus.space
    write_predictions(artifacts / PREDICTIONS, result.train, space)
    write_extras(artifacts, result.extras)
    (artifacts / TEST_PREDICTIONS).unlink(missing_ok=True)
    if result.test is not None:
        write_predictions(artifacts / TEST_PREDICTIONS, result.test, space)
    state = {name: value.cpu().numpy() for name, value in result.fused.state.items()}
    config = json.dumps(result.config.model_dump(mode="json"), sort_keys=True)
    write_tensors(artifacts / MODEL, state, {"config": config, "recipe": recipe})
    with replacing(folder / CONFUSION) as temporary:
        temporary.write_bytes(confusion_png)
    write_text(folder / METRICS, json.dumps(metrics(result), indent=1) + "\n")


def write_pictures(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """PNGs of what a run leans on, beside its files; removes those that an earlier run left."""
    for name in PICTURES:
        path = folder / f"{name}.png"
        path.unlink(missing_ok=True)
        if name in pictures:
            with replacing(path) as temporary:
                temporary.write_bytes(pictures[name])


def finish_run(folder: Path, recipe: str, result: TrialResult, run_id: str) -> None:
    """Writes the record, and the manifest that makes the run complete."""
    fields = {
        "recipe": recipe,
        "config": result.config.model_dump(mode="json"),
        "identity": result.identity,
        "corpus_hash": result.corpus_hash,
        "modalities": list(result.modalities),
        "skipped": list(result.skipped),
        "run_id": run_id,
        CHECKSUMS: MANIFEST,
    }
    write_text(folder / ARTIFACTS / RECORD, json.dumps(fields, indent=1) + "\n")
    close_run(folder)


def read_run(folder: Path, space: LabelSpace) -> StoredRun | None:
    """A complete run; None if there is none. Raises DamagedError as `read_record` does."""
    fields = read_record(folder)
    if fields is None:
        return None
    artifacts = folder / ARTIFACTS
    test = artifacts / TEST_PREDICTIONS
    return StoredRun(
        recipe=fields["recipe"],
        config=TrialConfig.model_validate(fields["config"]),
        identity=fields["identity"],
        corpus_hash=fields["corpus_hash"],
        modalities=tuple(fields["modalities"]),
        skipped=tuple(fields["skipped"]),
        run_id=fields["run_id"],
        checked=is_checked(artifacts),
        train=read_predictions(artifacts / PREDICTIONS, space),
        test=read_predictions(test, space) if test.is_file() else None,
        extras=read_extras(artifacts),
    )
