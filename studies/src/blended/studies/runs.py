"""What a trained recipe leaves on disk, and reading it back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from blended.data import Corpus, InputError, LabelSpace, Mixture
from blended.data.atomic import write_text
from blended.data.checksums import MANIFEST, write_tensors
from blended.data.code_versions import library_versions
from blended.data.corpora import groups
from blended.eval.evaluation import Evaluation, evaluate, measure
from blended.eval.measures import MEASURES, Labels
from blended.eval.predictions import Predictions, read_predictions, write_predictions
from blended.eval.protocol import Protocol
from blended.eval.run_record import RunRecord
from blended.eval.tasks import TASKS
from blended.studies.extras import Extras, read_extras, write_extras
from blended.studies.identity import Versions
from blended.studies.run_files import (
    ARTIFACTS,
    CHECKSUMS,
    CONFUSION,
    METRICS,
    MODEL,
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
class Run:
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
    versions: Versions | None = None
    """None for a run of before the code counted: which code made it is not known."""
    libraries: Mapping[str, str] = field(default_factory=dict[str, str])
    """Distribution -> version that computed the numbers."""


def metrics(result: TrialResult) -> dict[str, Any]:
    """Numbers for `dvc metrics show`: the headline, the folds, and apart from them the optimistic way."""
    optimistic = {} if result.in_fold is None else {"in_fold_optimistic": _numbers(result.in_fold)}
    return {"cross_fold": _numbers(result.cross_fold), **optimistic}


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    values = {key: estimate.value for key, estimate in evaluation.measured.items()}
    bounds = {
        f"{MEASURES[key].short}_{side}": getattr(estimate, side)
        for key, estimate in evaluation.measured.items()
        for side in ("low", "high")
    }
    folds = {f"fold{fold.fold}": {**fold.numbers, **fold.parameters} for fold in evaluation.folds}
    return {**values, **bounds, **folds}


def write_run(folder: Path, recipe: str, result: TrialResult) -> None:
    """Everything but figures, the record and the manifest, which `finish_run` adds last."""
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
    write_text(folder / METRICS, json.dumps(metrics(result), indent=1) + "\n")


def stored(result: TrialResult, recipe: str, versions: Versions, run_id: str | None = None) -> Run:
    """A result as it will be read back."""
    return Run(
        recipe=recipe,
        config=result.config,
        identity=result.identity,
        corpus_hash=result.corpus_hash,
        modalities=result.modalities,
        skipped=result.skipped,
        run_id=run_id,
        checked=True,
        train=result.train,
        test=result.test,
        extras=result.extras,
        versions=versions,
        libraries=library_versions(),
    )


def finish_run(folder: Path, run: Run) -> None:
    """Writes the record, and the manifest that makes the run complete."""
    fields = {
        "recipe": run.recipe,
        "config": run.config.model_dump(mode="json"),
        "identity": run.identity,
        "versions": None if run.versions is None else asdict(run.versions),
        "libraries": dict(run.libraries),
        "corpus_hash": run.corpus_hash,
        "modalities": list(run.modalities),
        "skipped": list(run.skipped),
        "run_id": run.run_id,
        CHECKSUMS: MANIFEST,
    }
    write_text(folder / ARTIFACTS / RECORD, json.dumps(fields, indent=1) + "\n")
    close_run(folder)


def read_run(folder: Path, space: LabelSpace) -> Run | None:
    """A complete run; None if there is none. Raises DamagedError as `read_record` does."""
    fields = read_record(folder)
    if fields is None:
        return None
    artifacts = folder / ARTIFACTS
    test = artifacts / TEST_PREDICTIONS
    return Run(
        recipe=fields["recipe"],
        config=_config(fields),
        identity=fields["identity"],
        corpus_hash=fields["corpus_hash"],
        modalities=tuple(fields["modalities"]),
        skipped=tuple(fields["skipped"]),
        run_id=fields["run_id"],
        checked=is_checked(artifacts),
        train=read_predictions(artifacts / PREDICTIONS, space),
        test=read_predictions(test, space) if test.is_file() else None,
        extras=read_extras(artifacts),
        versions=versions_of(fields),
        libraries=fields.get("libraries", {}),
    )


def _config(fields: Mapping[str, Any]) -> TrialConfig:
    try:
        return TrialConfig.model_validate(fields["config"])
    except ValidationError as error:
        raise _newer(str(fields.get("recipe")), error) from error


def versions_of(record: Mapping[str, Any]) -> Versions | None:
    """What the parts of a recorded run were made from; None where the record does not say."""
    given = record.get("versions")
    try:
        return None if given is None else Versions(**given)
    except TypeError as error:
        raise _newer(str(record.get("recipe")), error) from error


def _newer(recipe: str, error: Exception) -> InputError:
    return InputError(
        f"the run {recipe!r} was made by another version of blended ({str(error).splitlines()[0]}): use that "
        f"one, or delete its folder and `blended train {recipe}`"
    )


def drawn(run: Run, corpus: Corpus) -> dict[str, bytes]:
    """PNGs by name, the confusion matrix (for intensities: the agreement) among them; those of rendered clips
    say so."""
    from blended.eval.figures import footnote, run_figure
    from blended.eval.figures.saving import png
    from blended.eval.figures.style import WIDE_INCHES
    from blended.eval.report.top_run import figures_of, take_apart

    record = record_of(run, corpus)
    taken = take_apart(
        record,
        corpus.space,
        run.train.probabilities,
        groups=groups(corpus.name, run.train.clip_ids),
        enrolment=run.extras.enrolment,
        importance=run.extras.importance,
        predictors=run.extras.predictors,
        weights=run.extras.weights,
    )
    figures = {name: draw(WIDE_INCHES) for name, draw in figures_of(taken).items()}
    noted = {n: footnote(f, "rendered clips") if corpus.synthetic else f for n, f in figures.items()}
    matrix = run_figure(record, corpus.space)
    return {name: png(figure) for name, figure in {**noted, CONFUSION: matrix}.items()}


def labelled(predictions: Predictions) -> list[Mixture]:
    """True mixtures; every training clip has one."""
    return [mixture for mixture in predictions.truth if mixture is not None]


def truth_of(predictions: Predictions) -> Labels:
    """Mixtures, or true intensities."""
    return labelled(predictions) if predictions.true_intensities is None else predictions.true_intensities


def record_of(run: Run, corpus: Corpus, train: Predictions | None = None) -> RunRecord:
    """The run with what it decided, measured on all its training clips or on those of `train`."""
    train = train or run.train
    return RunRecord(
        name=run.recipe,
        strategy=run.config.strategy,
        features=run.config.fusion.features,
        modalities=run.modalities,
        truth=truth_of(train),
        clip_ids=train.clip_ids,
        actors=np.array(train.actors),
        folds=np.array(train.folds, dtype=np.int64),
        cross_fold=as_decided(train, corpus, run.config.protocol),
        run_id=run.run_id,
        task=corpus.space.task,
    )


def as_decided(predictions: Predictions, corpus: Corpus, protocol: Protocol) -> Evaluation:
    """What was decided when the run was trained, measured on the given clips."""
    evidence = predictions.evidence(corpus.space)
    if not TASKS[corpus.space.task].decides:
        return evaluate(evidence, truth_of(predictions), protocol)
    return measure(evidence, labelled(predictions), [*predictions.decided], protocol)
