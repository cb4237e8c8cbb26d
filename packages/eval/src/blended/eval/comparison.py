"""Whether the difference of two systems is more than noise, and which run is best.

Systems of one corpus are judged on the same clips, so they are compared actor by actor (`intervals`),
whoever asks: the report, studies, notebooks. All comparisons that are shown together are one family; their
p-values are corrected together (Holm, "A simple sequentially rejective multiple test procedure", 1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from blended.data import InputError
from blended.data.labels import Task
from blended.data.shown import Shown, shown_table
from blended.eval.estimate import Basis, Estimate
from blended.eval.intervals import Spread
from blended.eval.measures import MEASURES, Labels, spread_of
from blended.eval.run_record import RunRecord, rank
from blended.eval.tasks import TASKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNIFICANCE = 0.05
"""A corrected p-value below it tells two runs apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one system answered, and no more: what can be compared."""

    name: str
    """Unique among those compared."""
    task: Task
    truth: Labels
    """One per clip."""
    decided: Labels
    """Likewise."""
    clip_ids: tuple[str, ...]
    actors: ndarray
    """[clip]: who is seen, a name or a number."""
    folds: Int[ndarray, "clip"]


Judged = Answers | RunRecord


@dataclass(frozen=True, slots=True)
class Comparison:
    """First minus second, actor by actor."""

    first: str
    second: str
    task: Task
    basis: Basis
    """What intervals are over."""
    differences: tuple[Estimate, ...]
    """Of every measure of the task, in its order, with 95 % intervals."""
    p: float
    """Two-sided, for the headline; 1 where nothing can be said, as of one actor."""
    p_holm: float
    """`p` corrected for all comparisons of its family."""

    @property
    def score(self) -> Estimate:
        """The difference of the headline, such as the challenge score."""
        return self.differences[TASKS[self.task].headline_place]

    @property
    def named(self) -> tuple[tuple[str, Estimate], ...]:
        """Every measure in words, and its difference."""
        return tuple(zip((one.words for one in TASKS[self.task].measures), self.differences, strict=True))

    @property
    def distinguishable(self) -> bool:
        """Whether the difference of the headlines is more than noise."""
        return self.p_holm < SIGNIFICANCE

    def reversed(self) -> "Comparison":
        """Second minus first."""
        flipped = tuple(negated(one) for one in self.differences)
        return replace(self, first=self.second, second=self.first, differences=flipped)


@dataclass(frozen=True, slots=True, eq=False)
class Standings:
    """All runs in order, and who can be told apart."""

    runs: tuple[RunRecord, ...]
    """Trained runs by falling cross-fold score."""
    baselines: tuple[RunRecord, ...]
    """Trivial baselines by falling cross-fold score."""
    comparisons: Mapping[tuple[str, str], Comparison]
    """By the names of the two runs; one family."""

    @property
    def top(self) -> RunRecord:
        """The run with the highest score, which is not to say the best."""
        return self.runs[0]

    @property
    def tied(self) -> tuple[RunRecord, ...]:
        """Runs below the top that cannot be told apart from it."""
        top = self.top.name
        return tuple(run for run in self.runs[1:] if not self.between(top, run.name).distinguishable)

    def best_of(self, modality: str) -> RunRecord | None:
        """The highest run of `audio`, `video`, `multimodal`; of any one modality for `unimodal`."""
        wanted = self.unimodal if modality == "unimodal" else (modality,)
        return next((run for run in self.runs if run.modality in wanted), None)

    @property
    def unimodal(self) -> tuple[str, ...]:
        """The modalities of which there are unimodal runs, by name."""
        return tuple(sorted({run.modality for run in self.runs} - {"multimodal"}))

    def to_frame(self) -> pl.DataFrame:
        """A row per run, the highest first: every measure with the ends of its 95 % interval, and how far the
        headline is below the top's (`below_top`, its interval, `p_holm`); null for the top itself."""
        rows: list[dict[str, object]] = []
        for one in (*self.runs, *self.baselines):
            row: dict[str, object] = {"run": one.name, "modality": one.modality}
            for key, estimate in one.cross_fold.measured.items():
                row |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
            gap = None if one is self.top else self.between(self.top.name, one.name)
            row |= {"below_top": gap and gap.score.value, "below_top_low": gap and gap.score.low}
            row |= {"below_top_high": gap and gap.score.high, "p_holm": gap and gap.p_holm}
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    def table(self) -> Shown:
        """Every run with its measures, and how far it is below the top, with a corrected p-value."""
        measures = [*self.top.cross_fold.measured]
        rows: list[tuple[str, ...]] = []
        for one in (*self.runs, *self.baselines):
            gap = None if one is self.top else self.between(self.top.name, one.name)
            told = ("", "") if gap is None else (str(gap.score), f"{gap.p_holm:.3g}")
            rows.append((one.name, *(str(one.cross_fold.measured[key]) for key in measures), *told))
        heads = ("run", *(MEASURES[key].words for key in measures), "below the top", "p (Holm)")
        return shown_table("", heads, rows, "cross-fold means, 95 % intervals over actors")

    def figure(self) -> "Figure":
        """The headline of every run with its interval."""
        from blended.eval.figures.forest import forest_figure

        return forest_figure(self.runs, self.baselines, {run.name for run in self.tied})

    def between(self, first: str, second: str) -> Comparison:
        """First minus second; KeyError if the pair is not in the family."""
        if (first, second) in self.comparisons:
            return self.comparisons[first, second]
        return self.comparisons[second, first].reversed()


def standings(records: Sequence[RunRecord]) -> Standings:
    """Ranks runs and compares the top with every other run, and multimodal with unimodal.

    Raises InputError for no trained run, a repeated name, or runs that cover different clips or folds.
    """
    _check(records)
    ranked = rank(records)
    runs = tuple(record for record in ranked if record.modalities)
    baselines = tuple(record for record in ranked if not record.modalities)
    table = Standings(runs, baselines, {})
    pairs = [(table.top.name, record.name) for record in (*runs[1:], *baselines)]
    multimodal = table.best_of("multimodal")
    for modality in table.unimodal if multimodal else ():
        unimodal = table.best_of(modality)
        assert multimodal and unimodal
        if {multimodal.name, unimodal.name} not in [set(pair) for pair in pairs]:
            pairs.append((multimodal.name, unimodal.name))
    found = compare_all(records, pairs)
    return replace(table, comparisons=dict(zip(pairs, found, strict=True)))


def compare(first: Judged, second: Judged) -> Comparison:
    """One comparison by itself: nothing to correct.

    Raises InputError for answers to other clips, folds, labels or people.
    """
    _check_same_clips(first, second)
    return _comparison(first, second, _spread(first), _spread(second))


def compare_all(judged: Sequence[Judged], pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
    """First minus second of every pair of names, as one family; raises as `compare` does."""
    for one in judged[1:]:
        _check_same_clips(judged[0], one)
    by_name = {one.name: one for one in judged}
    spreads = {name: _spread(by_name[name]) for name in {name for pair in pairs for name in pair}}
    found = [_comparison(by_name[a], by_name[b], spreads[a], spreads[b]) for a, b in pairs]
    corrected = holm([comparison.p for comparison in found])
    return [replace(comparison, p_holm=p) for comparison, p in zip(found, corrected, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down correction of a family of p-values, in [0, 1], in the order given.

    >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for step, number in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[number]))
        adjusted[number] = largest
    return adjusted


def negated(estimate: Estimate) -> Estimate:
    """The estimate of the opposite difference."""
    # Adding zero turns -0.0, which would be printed with its sign, into 0.0.
    low, high = (None if end is None else 0.0 - end for end in (estimate.high, estimate.low))
    return Estimate(0.0 - estimate.value, low, high)


def _spread(judged: Judged) -> Spread:
    numbers = np.unique(judged.actors, return_inverse=True)[1].astype(np.int64)
    measures = TASKS[judged.task].measures
    return spread_of(measures, judged.truth, judged.decided, numbers, judged.folds)


def _comparison(first: Judged, second: Judged, first_spread: Spread, second_spread: Spread) -> Comparison:
    gap = first_spread.minus(second_spread)
    differences, p = gap.estimates, gap.p_values[TASKS[first.task].headline_place]
    if _alike(first.decided, second.decided):
        differences, p = tuple(Estimate(0.0, 0.0, 0.0) for _ in differences), 1.0
    return Comparison(first.name, second.name, first.task, gap.basis, differences, p=p, p_holm=p)


def _alike(first: Labels, second: Labels) -> bool:
    if isinstance(first, ndarray) and isinstance(second, ndarray):
        return np.array_equal(first, second, equal_nan=True)
    return [*first] == [*second]


def _check(records: Sequence[RunRecord]) -> None:
    names = [record.name for record in records]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(
            f"run {repeated[0]!r} occurs {names.count(repeated[0])} times; give every run a name"
        )
    if not any(record.modalities for record in records):
        raise InputError(f"expected at least one trained run, got only {names or 'none'}")
    for record in records[1:]:
        _check_same_clips(records[0], record)


def _check_same_clips(first: Judged, second: Judged) -> None:
    if first.task != second.task:
        raise InputError(
            f"runs {first.name!r} and {second.name!r} are of the tasks {first.task!r} and {second.task!r}; "
            f"only runs of one task can be compared"
        )
    if first.clip_ids != second.clip_ids or not np.array_equal(first.folds, second.folds):
        raise InputError(
            f"runs {first.name!r} and {second.name!r} were not evaluated on the same clips and folds in the "
            f"same order ({len(first.clip_ids)} and {len(second.clip_ids)} clips); differences must be paired"
        )
    if not (np.array_equal(first.actors, second.actors) and _alike(first.truth, second.truth)):
        raise InputError(
            f"runs {first.name!r} and {second.name!r} were evaluated on other labels or actors of the "
            f"same clips: the corpus was changed between them, so run the older one again"
        )
