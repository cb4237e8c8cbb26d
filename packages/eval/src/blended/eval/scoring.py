"""Score anybody's per-clip outputs: tables in, a result with intervals out. What `blended evaluate` calls.

>>> from blended.eval import evaluate
>>> result = evaluate("scores.csv", "labels.csv", decision="bayes")                    # doctest: +SKIP
>>> result.table(), result.to_frame(), result.figure(), result.to_json()               # doctest: +SKIP
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from blended.data import InputError
from blended.data.scores import Kind
from blended.data.shown import Shown, shown_table
from blended.data.text_table import TextTable
from blended.eval.breakdown import Breakdown, breakdown
from blended.eval.calibration import ReliabilityChange, cross_fitted, reliability_change
from blended.eval.evaluation import Evaluation
from blended.eval.evaluation import evaluate as evaluated
from blended.eval.evidence import Evidence, gather
from blended.eval.labelled import EXPECTED, Labelled, labels_of_corpus, labels_of_table
from blended.eval.measures import MEASURES, Labels
from blended.eval.measures.agreement import agreement_by_emotion
from blended.eval.normalisation import MIN_ENROL_CLIPS
from blended.eval.predictions import (
    Table,
    is_predictions,
    read_scores,
    read_states,
    read_table,
    remark,
    scored_emotions,
)
from blended.eval.protocol import EVEN, Protocol, few_people, normalised
from blended.eval.tasks import TASKS, decision_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What is scored, clips in the order of their labels."""

    labelled: Labelled
    evidence: Evidence
    truth: Labels
    kinds: list[Kind]
    """What the columns of every table were read as."""
    remarks: list[str]
    """On tables that look like something else."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What scores are worth, and everything that is said about it."""

    given: Given
    evaluation: Evaluation
    few_clips: str = ""
    """How many people are seen in too few clips to be compared with themselves; empty for none."""
    cross_fold: Evaluation | None = None
    """Beside an in-fold evaluation, which is optimistic: the same, cross-fold."""
    calibration: ReliabilityChange | None = None
    """Calibration errors before and after, where probabilities were calibrated."""
    detail: Breakdown | None = None
    """Where decisions are right; None for intensities."""

    def table(self) -> Shown:
        """Every measure by fold and as a mean with its interval."""
        folds = self.evaluation.folds
        heads = ("measure", *(f"fold {one.fold}" for one in folds), "mean", "95 % interval")
        rows = [
            (
                MEASURES[key].words,
                *(f"{one.numbers[key]:.3f}" if key in one.numbers else "" for one in folds),
                f"{estimate.value:.3f}",
                "none" if estimate.ends is None else "{:.3f} to {:.3f}".format(*estimate.ends),
            )
            for key, estimate in self.evaluation.measured.items()
        ]
        notes = (self.evaluation.basis.sentence, *self.given.remarks, *filter(None, [self.few_clips]))
        return shown_table(self.evaluation.protocol.label, heads, rows, *notes)

    def to_frame(self) -> pl.DataFrame:
        """A row per measure: its key, value, and low and high end of its 95 % interval, null without one."""
        rows = [
            {"measure": key, "value": one.value, "low": one.low, "high": one.high}
            for key, one in self.evaluation.measured.items()
        ]
        schema = {"measure": pl.String(), "value": pl.Float64(), "low": pl.Float64(), "high": pl.Float64()}
        return pl.DataFrame(rows, schema=schema)

    def answers(self) -> pl.DataFrame:
        """A row per clip: filename, actor, fold, truth and what is decided, in words; of intensities a column
        each per emotion."""
        clips, space = self.given.labelled.clips, self.given.labelled.space
        columns: dict[str, Any] = {
            "filename": [clip.id for clip in clips],
            "actor": [clip.actor for clip in clips],
            "fold": [clip.fold for clip in clips],
        }
        named: list[tuple[str, Any]] = [("truth", self.given.truth), ("decided", self.evaluation.decided)]
        for name, labels in named:
            if TASKS[space.task].decides:
                columns[name] = [mixture.name for mixture in labels]
            else:
                columns |= {f"{name}_{e}": [row[k] for row in labels] for k, e in enumerate(space.emotions)}
        return pl.DataFrame(columns)

    def figure(self) -> "Figure":
        """What is taken for what; of intensities, how far every emotion agrees."""
        from blended.eval.figures import agreement_figure, confusion_figure, count_confusion

        space, evidence = self.given.labelled.space, self.given.evidence
        truth, decided = self.given.truth, self.evaluation.decided
        if TASKS[space.task].decides:
            return confusion_figure(count_confusion([*truth], self.evaluation.mixtures, space))
        where = (evidence.actors, evidence.folds)
        return agreement_figure(agreement_by_emotion(truth, decided, *where, space.emotions))  # pyright: ignore[reportArgumentType] - arrays, as the task says

    def to_json(self) -> dict[str, Any]:
        """What `blended evaluate --json` writes."""
        written = evaluation_json(self.evaluation)
        if self.few_clips:
            written["few_clips"] = self.few_clips
        if self.cross_fold is not None:
            written |= {"optimistic": True, "cross_fold_score": self.cross_fold.headline.value}
        if self.calibration is not None:
            written["calibration_error"] = asdict(self.calibration)
        if self.detail is not None:
            written["detail"] = asdict(self.detail)
        written["scores"] = self.given.kinds
        if self.given.remarks:
            written["remarks"] = self.given.remarks
        return written


def evaluate(
    scores: Table | Sequence[Table],
    truth: Table | None = None,
    *,
    corpus: str | None = None,
    kinds: Kind | Sequence[Kind] = "logits",
    decision: str | None = None,
    normalise: str = "none",
    calibrate: str = "raw",
    tune: str = "cross-fold",
    seed: int = 0,
    enrol_clips: int | None = None,
    enrol_minimum: int = MIN_ENROL_CLIPS,
    presence_weight: float = EVEN,
) -> Result:
    """Decides and scores per-clip outputs of one or several models, fold by fold.

    `scores` is a CSV or Parquet file, a data frame or a mapping of columns: filename, fold and one column per
    emotion, or what a run wrote (predictions.parquet); several are fused late. `truth` is a table of labels
    (`blended.eval.labelled` says of which columns), `corpus` an indexed corpus instead; with neither, the
    first table of scores says what is true. `kinds`: what the columns hold, once for all or for each.
    The other choices are those of `Protocol`, and none is the usual one of the task. Raises InputError for
    whatever cannot be read or combined.
    """
    given = read_given(scores, truth, corpus, kinds)
    task = given.labelled.space.task
    protocol = Protocol(
        decision or decision_of(task, tune),
        normalise,
        tune,
        seed,
        calibrate=calibrate,
        enrol_clips=enrol_clips,
        enrol_minimum=enrol_minimum,
        presence_weight=presence_weight,
    )
    return result_of(given, protocol)


def read_given(
    scores: Table | Sequence[Table], truth: Table | None, corpus: str | None, kinds: Kind | Sequence[Kind]
) -> Given:
    """Scores and labels, matched by clip; raises InputError where they do not fit together."""
    one = isinstance(scores, str | Path | pl.DataFrame | Mapping)
    given: list[Table] = [scores] if one else [*scores]  # pyright: ignore[reportAssignmentType] - as checked
    kinds = [kinds] if isinstance(kinds, str) else [*kinds]
    if len(kinds) not in (1, len(given)):
        raise InputError(
            f"got --scores {len(kinds)} times for {len(given)} files: give it once for all, or once for each "
            f"in their order"
        )
    if truth is not None and corpus is not None:
        raise InputError("got labels twice: give --metadata or --corpus, not both")
    kinds = kinds if len(kinds) == len(given) else kinds * len(given)
    of_truth = None if truth is None else read_table(truth, EXPECTED)
    tables = [read_table(table) for table in given]
    if corpus is not None:
        labelled = labels_of_corpus(corpus)
    else:
        labelled = labels_of_table(of_truth or _own_labels(tables[0]), scored_emotions(tables[0]))
    return _gathered(tables, labelled, kinds)


def _own_labels(table: TextTable) -> TextTable:
    """The table itself, if it says what is true beside what a model says."""
    if {"truth", "label"} & {*table.columns} or any(name.startswith("truth_") for name in table.columns):
        return table
    raise InputError(
        f"{table.path} says nothing of what is true: give labels with --metadata FILE or --corpus NAME (or "
        f"the predictions of a run, which have them)"
    )


def _gathered(tables: Sequence[TextTable], labelled: Labelled, kinds: Sequence[Kind]) -> Given:
    space, clips = labelled.space, labelled.clips
    read = [read_scores(table, clips, space, kind) for table, kind in zip(tables, kinds, strict=True)]
    said: list[str | None] = []
    if TASKS[space.task].decides:
        said = [remark(table.path, one) for table, one in zip(tables, read, strict=True)]
    alone = len(tables) == 1 and is_predictions(tables[0])
    states = read_states(tables[0], clips, space) if alone else None
    actors, folds = [clip.actor for clip in clips], [clip.fold or 0 for clip in clips]
    evidence = gather(read, actors, folds, space, states)
    truth = TASKS[space.task].truth(clips, space)
    return Given(labelled, evidence, truth, [one.kind for one in read], [one for one in said if one])


def result_of(given: Given, protocol: Protocol) -> Result:
    """Decides, measures and takes apart."""
    evidence, truth = given.evidence, given.truth
    evaluation = evaluated(evidence, truth, protocol)
    few = few_people(protocol, evidence.actors)
    if not TASKS[evaluation.task].decides:
        return Result(given, evaluation, few)
    optimistic = protocol.tune == "in-fold" and len(evaluation.folds) > 1
    honest = evaluated(evidence, truth, replace(protocol, tune="cross-fold")) if optimistic else None
    mixtures, change = [*truth], None
    scores = normalised(evidence, protocol)
    if protocol.calibrate != "raw":
        change = reliability_change(protocol.calibrate, scores, mixtures)
    mapped = cross_fitted(protocol.calibrate, scores, mixtures).mean_probabilities()
    labelled = given.labelled
    detail = breakdown(mixtures, evaluation.mixtures, mapped, labelled.space, labelled.groups)
    return Result(given, evaluation, few, honest, change, detail)


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Folds, means over folds, intervals and the protocol, as other people's scripts read them.

    `enrol_clips`, `enrol_minimum` and `presence_weight` are there only where they are not the default.
    Intervals are null where there are none; `intervals_over` says in words what they are over.
    """
    protocol, measured = evaluation.protocol, evaluation.measured.items()
    usual = {"enrol_clips": None, "enrol_minimum": MIN_ENROL_CLIPS, "presence_weight": EVEN}
    given = {name: getattr(protocol, name) for name in usual}
    return {
        "folds": [
            {"fold": one.fold, "clips": one.clips, **one.numbers, **one.parameters}
            for one in evaluation.folds
        ],
        **{key: estimate.value for key, estimate in measured},
        **{f"{MEASURES[key].short}_interval": e.ends and [*e.ends] for key, e in measured},
        "intervals_over": str(evaluation.basis),
        "decision": protocol.decision,
        "tune": protocol.tune,
        "normalise": protocol.normalise,
        "calibrate": protocol.calibrate,
        "seed": protocol.seed,
        "nesting": protocol.nesting,
        **{name: value for name, value in given.items() if value != usual[name]},
        "blended_version": version("blended-eval"),
    }
