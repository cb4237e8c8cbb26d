"""What a trained recipe leaves on disk, and reading it back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from blended.data import Clip, Corpus, InputError, LabelSpace, Mixture
from blended.data.atomic import write_text
from blended.data.checksums import MANIFEST, write_tensors
from blended.data.code_versions import library_versions
from blended.data.corpora import groups
from blended.data.labels import SoftLabel
from blended.data.shown import Shown
from blended.eval.evaluation import Evaluation, evaluate, measure
from blended.eval.labelled import Labelled
from blended.eval.measures import MEASURES, Labels
from blended.eval.predictions import Predictions, read_predictions, write_predictions
from blended.eval.protocol import Protocol, few_people
from blended.eval.run_record import RunRecord
from blended.eval.scoring import Given, Result
from blended.eval.scoring import evaluate as evaluate_table
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A trained recipe as it lies on disk."""

    recipe: str
    space: LabelSpace
    folder: Path
    """Of its files; see `run_files`."""
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

    @property
    def evaluation(self) -> Result:
        """What was decided when the run was trained, fold by fold by what had not seen the fold, measured."""
        protocol = self.config.protocol
        decided = as_decided(self.train, self.space, protocol)
        return Result(_given(self.train, self.space), decided, self._few_clips(protocol))

    def evaluate(self, **choices: Any) -> Result:
        """The run's scores decided in another way: as the run decides but for the choices that are given,
        such as `decision`, `normalise` or `calibrate` of `blended.eval.evaluate`.

        What decides a fold is fitted on what the other folds report, whose models have seen the fold (plain
        nesting), while `evaluation` of a strictly nested run is not: compare decisions with each other.
        """
        own = self.config.decision
        usual: dict[str, Any] = {
            "decision": own.name,
            "normalise": own.normalise,
            "calibrate": own.calibrate,
            "enrol_clips": own.enrol_clips,
            "enrol_minimum": own.enrol_minimum,
            "presence_weight": own.presence_weight,
            "seed": self.config.seed,
        }
        if choices.get("tune") == "in-fold":
            usual["decision"] = None
        predictions = self.folder / ARTIFACTS / PREDICTIONS
        return evaluate_table(predictions, kinds="probabilities", **{**usual, **choices})

    def _few_clips(self, protocol: Protocol) -> str:
        return few_people(protocol, self.train.evidence(self.space).actors)

    def to_frame(self) -> pl.DataFrame:
        """A row per training clip, as in predictions.parquet: `filename`, `actor`, `fold`, `p_EMOTION`, and
        what is decided and true as JSON."""
        return pl.read_parquet(self.folder / ARTIFACTS / PREDICTIONS)

    def table(self) -> Shown:
        """Its measures by fold, and means with intervals."""
        return self.evaluation.table()

    def figure(self) -> "Figure":
        """What is taken for what; of intensities, how far every emotion agrees."""
        return self.evaluation.figure()


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


def stored(result: TrialResult, folder: Path, recipe: str, versions: Versions) -> Run:
    """A result as it will be read back."""
    return Run(
        recipe=recipe,
        space=result.corpus.space,
        folder=folder,
        config=result.config,
        identity=result.identity,
        corpus_hash=result.corpus_hash,
        modalities=result.modalities,
        skipped=result.skipped,
        run_id=None,
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
        space=space,
        folder=folder,
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
    from blended.eval.figures.style import WIDE_INCHES, png
    from blended.eval.report.top_run import figures_of, take_apart

    record = record_of(run)
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


def _given(train: Predictions, space: LabelSpace) -> Given:
    """What was decided from, as `Result` has it."""
    clips: list[Clip] = []
    for row, name in enumerate(train.clip_ids):
        mixture, soft = (train.truth[row] if train.truth else None), None
        if train.true_intensities is not None:
            soft = SoftLabel(space.emotions, tuple(train.true_intensities[row].tolist()), "intensities")
        clips.append(Clip(name, Path(name), train.actors[row], "train", train.folds[row], mixture, soft))
    of_clips = Labelled(space, tuple(clips))
    return Given(of_clips, train.evidence(space), truth_of(train), ["probabilities"], [])


def labelled(predictions: Predictions) -> list[Mixture]:
    """True mixtures; every training clip has one."""
    return [mixture for mixture in predictions.truth if mixture is not None]


def truth_of(predictions: Predictions) -> Labels:
    """Mixtures, or true intensities."""
    return labelled(predictions) if predictions.true_intensities is None else predictions.true_intensities


def record_of(run: Run, train: Predictions | None = None) -> RunRecord:
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
        cross_fold=as_decided(train, run.space, run.config.protocol),
        run_id=run.run_id,
        task=run.space.task,
    )


def as_decided(predictions: Predictions, space: LabelSpace, protocol: Protocol) -> Evaluation:
    """What was decided when the run was trained, measured on the given clips."""
    evidence = predictions.evidence(space)
    if not TASKS[space.task].decides:
        return evaluate(evidence, truth_of(predictions), protocol)
    return measure(evidence, labelled(predictions), [*predictions.decided], protocol)
