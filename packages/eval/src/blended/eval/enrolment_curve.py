"""Score against the number of clips that a person is normalised from: how many are needed, when it hurts.

For every number K, each actor's scores are standardised by K random other clips of theirs as far as those can
be believed (`population`), without a minimum below which nobody is normalised: the curve is to show whether
one is needed. The actors that a decision is fitted on are normalised from as few clips as those judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blended.data import InputError, Mixture
from blended.data.atomic import replacing
from blended.data.labels import set_name
from blended.eval.estimate import Estimate
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.evidence import Evidence
from blended.eval.intervals import Spread, mean_of
from blended.eval.measures import measures_of, spread_of
from blended.eval.normalisation import MIN_ENROL_CLIPS
from blended.eval.protocol import Protocol
from blended.eval.tasks import TASKS

CLIPS = (1, 2, 4, 8, 12, 16, 24)
REPEATS = 5
SCORE = 2
"""Of the measures of mixtures."""


@dataclass(frozen=True, slots=True)
class EnrolmentPoint:
    """One number of clips."""

    clips: str
    """`none` (no normalisation), a number, or `all` (with the clip that is judged)."""
    drawn: str
    """`any`: at random; `few sets`: clips of as few sets of emotions as possible; empty: nothing drawn."""
    repeats: int
    """Draws of clips."""
    score: Estimate
    """The headline of the task, such as the challenge score: mean over draws, which differ from actor to
    actor, so that their luck is in the interval over actors."""
    gain: Estimate
    """Score minus that of `none`, actor by actor."""


def enrolment_curve(
    evidence: Evidence,
    truth: Sequence[Mixture],
    protocol: Protocol,
    ks: Sequence[int] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
    fitted_on: Mapping[int, Evidence] | None = None,
) -> list[EnrolmentPoint]:
    """`none`, every K drawn at random and drawn from few sets, and `all`, under the protocol's decision.

    Without `ks`: those of CLIPS that some actor has beside the clip judged. Labels are used to draw from few
    sets, which imitates a user with unbalanced clips, never to normalise. `fitted_on` as in `evaluate`.
    Raises InputError for K below 1 or more than any actor has, no repeats, or in-fold tuning.
    """
    if protocol.tune != "cross-fold":
        raise InputError(f"an enrolment curve is cross-fold, got --tune {protocol.tune}: use cross-fold")
    if repeats < 1:
        raise InputError(f"repeats must be 1 or more, got {repeats}")
    most = int(np.unique(evidence.actors, return_counts=True)[1].max()) - 1
    ks = [k for k in CLIPS if k <= most] if ks is None else ks
    if too_many := [k for k in ks if k > most]:
        raise InputError(f"no actor has {too_many[0]} clips beside the one judged: give at most {most}")
    whole = {"enrol_clips": None, "enrol_minimum": MIN_ENROL_CLIPS}
    none = evaluate(evidence, truth, replace(protocol, normalise="none", **whole), fitted_on=fitted_on)
    zero = _spread(evidence, truth, [none])
    at_zero = zero.estimates[TASKS[evidence.space.task].headline_place]
    points = [EnrolmentPoint("none", "", 1, at_zero, Estimate(0.0, 0.0, 0.0))]
    sets = [set_name(mixture.emotions) for mixture in truth]
    for drawn, groups in (("any", None), ("few sets", sets)):
        for k in ks:
            rules = replace(protocol, normalise="actor", enrol_clips=k, enrol_minimum=MIN_ENROL_CLIPS)
            seeds = range(seed, seed + repeats)
            results = [
                evaluate(evidence, truth, replace(rules, seed=one), fitted_on=fitted_on, groups=groups)
                for one in seeds
            ]
            points.append(_point(str(k), drawn, results, evidence, truth, zero))
    every = evaluate(evidence, truth, replace(protocol, normalise="actor", **whole), fitted_on=fitted_on)
    return [*points, _point("all", "", [every], evidence, truth, zero)]


def write_curve(path: Path, points: Sequence[EnrolmentPoint]) -> None:
    """A CSV with one row per point."""
    import polars as pl

    rows = [
        {"clips": point.clips, "drawn": point.drawn, "repeats": point.repeats}
        | {
            name if part == "value" else f"{name}_{part}": getattr(estimate, part)
            for name, estimate in (("score", point.score), ("gain", point.gain))
            for part in ("value", "low", "high")
        }
        for point in points
    ]
    with replacing(path) as temporary:
        pl.DataFrame(rows).write_csv(temporary)


def read_curve(path: Path) -> list[EnrolmentPoint]:
    """What `write_curve` wrote."""
    import polars as pl

    types = {"clips": pl.String(), "drawn": pl.String()}
    rows = pl.read_csv(path, schema_overrides=types).with_columns(pl.col("drawn").fill_null(""))
    return [
        EnrolmentPoint(
            row["clips"],
            row["drawn"],
            row["repeats"],
            *(Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("score", "gain")),
        )
        for row in rows.iter_rows(named=True)
    ]


def _point(
    clips: str,
    drawn: str,
    results: Sequence[Evaluation],
    evidence: Evidence,
    truth: Sequence[Mixture],
    zero: Spread,
) -> EnrolmentPoint:
    found, place = _spread(evidence, truth, results), TASKS[evidence.space.task].headline_place
    score, gain = found.estimates[place], found.minus(zero).estimates[place]
    return EnrolmentPoint(clips, drawn, len(results), score, gain)


def _spread(evidence: Evidence, truth: Sequence[Mixture], results: Sequence[Evaluation]) -> Spread:
    measures, where = measures_of(evidence.space.task), (evidence.actors, evidence.folds)
    return mean_of([spread_of(measures, truth, one.decided, *where) for one in results])
