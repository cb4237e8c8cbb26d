"""One run taken apart: what it confuses, which pairs and people it reads, what it gives probability to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError, LabelSpace, Mixture
from blended.eval.breakdown import Breakdown, breakdown
from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.figures import (
    Confusion,
    PairPoints,
    PairResult,
    TwoReadings,
    actors_figure,
    agreement_figure,
    confusion_figure,
    count_confusion,
    enrolment_figure,
    importance_figure,
    pair_points,
    pair_results,
    pairs_figure,
    reliability_figure,
    shares_figure,
    target_shares,
    ternary_figure,
    two_readings,
)
from blended.eval.figures.agreement import Agreement, agreement_of
from blended.eval.figures.importance import largest
from blended.eval.report.detail_tables import Draw, weight_figures
from blended.eval.run_record import Importance, RunRecord, Weights
from blended.eval.tasks import TASKS

CLIPS_SHOWN = 5
"""Of either kind."""


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What a run says about one clip."""

    clip_id: str
    actor: str
    true: Mixture
    decided: Mixture
    true_emotions: float
    """Probability given to the true emotions together, in [0, 1]."""
    overlap: float
    """Probability that lies where it belongs: the sum over emotions of min(probability, true share), in
    [0, 1]; 1 minus the total variation distance."""


def clip_results(
    record: RunRecord, probabilities: Float[ndarray, "clip emotion"], space: LabelSpace
) -> list[ClipResult]:
    """One per clip, in the order of the record; raises InputError for a wrong number of rows."""
    check_probabilities(record, probabilities, space)
    truth, decided = record.of_mixtures()
    targets = target_shares(truth, space)
    overlaps = np.minimum(probabilities, targets).sum(axis=1)
    masses = np.where(targets > 0, probabilities, 0.0).sum(axis=1)
    return [
        ClipResult(
            record.clip_ids[row],
            str(record.actors[row]),
            truth[row],
            decided[row],
            float(masses[row]),
            float(overlaps[row]),
        )
        for row in range(len(truth))
    ]


def worst_and_best(
    results: list[ClipResult], most: int = CLIPS_SHOWN
) -> tuple[list[ClipResult], list[ClipResult]]:
    """By overlap, then by name; from the worst up and from the best down, no clip in both."""
    ordered = sorted(results, key=lambda one: (round(one.overlap, 9), one.clip_id))
    most = min(most, len(ordered) // 2)
    best = sorted(ordered[len(ordered) - most :], key=lambda one: (-round(one.overlap, 9), one.clip_id))
    return ordered[:most], best


def check_probabilities(record: RunRecord, probabilities: ndarray, space: LabelSpace) -> None:
    """Raises InputError unless there is a row per clip and a column per emotion."""
    expected = (len(record.truth), len(space.emotions))
    if probabilities.shape != expected:
        raise InputError(
            f"run {record.name!r}: probabilities are of shape {probabilities.shape}, expected {expected}: a "
            f"row per clip and a column per emotion"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """What the probabilities of a run show."""

    reliability: TwoReadings
    points: list[PairPoints]
    worst: list[ClipResult]
    best: list[ClipResult]
    breakdown: Breakdown


@dataclass(frozen=True, slots=True, eq=False)
class TopRun:
    """What is computed once for a run and shown in several places."""

    record: RunRecord
    confusion: Confusion | None = None
    """None for intensities, as are the pairs."""
    pairs: list[PairResult] = field(default_factory=list[PairResult])
    given: Probabilities | None = None
    """None where the probabilities of the run were not given."""
    enrolment: Sequence[EnrolmentPoint] = ()
    importance: Importance | None = None
    """Of encoders."""
    predictors: Importance | None = None
    """Of named predictors."""
    weights: Weights | None = None
    agreement: Agreement | None = None
    """Of intensities."""


def take_apart(
    record: RunRecord,
    space: LabelSpace,
    probabilities: Float[ndarray, "clip emotion"] | None = None,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    enrolment: Sequence[EnrolmentPoint] = (),
    importance: Importance | None = None,
    predictors: Importance | None = None,
    weights: Weights | None = None,
) -> TopRun:
    """Counts and measures; `groups` name a group per clip. Raises InputError for wrong probabilities."""
    if not record.decides:
        return TopRun(
            record,
            enrolment=enrolment,
            importance=importance,
            predictors=predictors,
            weights=weights,
            agreement=agreement_of(record, space),
        )
    truth, decided = record.of_mixtures()
    return TopRun(
        record,
        count_confusion(truth, decided, space),
        pair_results(record, space),
        None if probabilities is None else _probabilities(record, probabilities, space, groups or {}),
        enrolment,
        importance,
        predictors,
        weights,
    )


def figures_of(run: TopRun) -> dict[str, Draw]:
    """Name -> a function of the width; those of pairs only where the corpus has pairs, and so on."""
    found: dict[str, Draw] = {}
    if (agreement := run.agreement) is not None:
        found["agreement"] = lambda width: agreement_figure(agreement, width_inches=width)
    if (confusion := run.confusion) is not None:
        found["confusion"] = lambda width: confusion_figure(confusion, width_inches=width)
        found["actors"] = lambda width: actors_figure(run.record, width_inches=width)
    if run.pairs:
        found["pairs"] = lambda width: pairs_figure(run.pairs, width_inches=width)
        found["shares"] = lambda width: shares_figure(run.pairs, width_inches=width)
    if (given := run.given) is not None:
        found["reliability"] = lambda width: reliability_figure(given.reliability, width_inches=width)
        if given.points:
            found["ternary"] = lambda width: ternary_figure(given.points, width_inches=width)
    if run.enrolment:
        found["enrolment"] = lambda width: enrolment_figure(
            run.enrolment, TASKS[run.record.task].headline.words, width_inches=width
        )
    if (importance := run.importance) is not None:
        found["importance"] = lambda width: importance_figure(importance, width_inches=width)
    if (predictors := run.predictors) is not None:
        found["predictors"] = lambda width: importance_figure(largest(predictors), width_inches=width)
    return found | weight_figures(run.weights)


def _probabilities(
    record: RunRecord,
    values: Float[ndarray, "clip emotion"],
    space: LabelSpace,
    groups: Mapping[str, Sequence[str]],
) -> Probabilities:
    check_probabilities(record, values, space)
    truth, decided = record.of_mixtures()
    worst, best = worst_and_best(clip_results(record, values, space))
    return Probabilities(
        two_readings(truth, values, space),
        pair_points(truth, values, space),
        worst,
        best,
        breakdown(truth, decided, values, space, groups),
    )
