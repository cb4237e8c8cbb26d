"""Which run is best, and whether the difference is more than noise.

Runs of one corpus are judged on the same clips, so they are compared pairwise on the same resampled
actors. All comparisons that a report makes are one family; their p-values are corrected together
(Holm, "A simple sequentially rejective multiple test procedure", 1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError
from blended.eval.intervals import NUM_RESAMPLES, Estimate, difference
from blended.eval.run_record import RunRecord, rank
from blended.eval.tasks import TASKS

SIGNIFICANCE = 0.05
"""A corrected p-value below it tells two runs apart."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """First run minus second run, on the same resampled actors."""

    first: str
    second: str
    differences: tuple[Estimate, ...]
    """Of every measure of the task, in its order, with 95 % intervals."""
    headline: int
    """Which of them runs are told apart by."""
    p: float
    """Two-sided, for the headline."""
    p_holm: float
    """`p` corrected for all comparisons of its family."""

    @property
    def score(self) -> Estimate:
        """The difference of the headline, such as the challenge score."""
        return self.differences[self.headline]

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

    def between(self, first: str, second: str) -> Comparison:
        """First minus second; KeyError if the pair is not in the family."""
        if (first, second) in self.comparisons:
            return self.comparisons[first, second]
        return self.comparisons[second, first].reversed()


def standings(
    records: Sequence[RunRecord], *, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Standings:
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
    return replace(table, comparisons=_family(records, pairs, seed, num_resamples))


def compare(
    first: RunRecord, second: RunRecord, *, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Comparison:
    """One comparison by itself: nothing to correct."""
    _check_same_clips(first, second)
    return _comparison(first, second, _draws(first, seed, num_resamples), _draws(second, seed, num_resamples))


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
    return Estimate(0.0 - estimate.value, 0.0 - estimate.high, 0.0 - estimate.low)


def _family(
    records: Sequence[RunRecord], pairs: Sequence[tuple[str, str]], seed: int, num_resamples: int
) -> dict[tuple[str, str], Comparison]:
    by_name = {record.name: record for record in records}
    draws = {name: _draws(by_name[name], seed, num_resamples) for name in {n for pair in pairs for n in pair}}
    found = [_comparison(by_name[a], by_name[b], draws[a], draws[b]) for a, b in pairs]
    corrected = holm([comparison.p for comparison in found])
    return {
        pair: replace(comparison, p_holm=p)
        for pair, comparison, p in zip(pairs, found, corrected, strict=True)
    }


def _draws(record: RunRecord, seed: int, num_resamples: int) -> Float[ndarray, "resample metric"]:
    numbers = np.unique(record.actors, return_inverse=True)[1]
    return TASKS[record.task].resample(
        record.truth,
        record.cross_fold.decided,
        numbers,
        record.folds,
        seed=seed,
        num_resamples=num_resamples,
    )


def _comparison(
    first: RunRecord, second: RunRecord, first_draws: ndarray, second_draws: ndarray
) -> Comparison:
    points = [a.value - b.value for a, b in zip(first.estimates, second.estimates, strict=True)]
    # The value is the difference of the two published values; resamples give its interval.
    estimates = tuple(
        replace(difference(first_draws[:, k].tolist(), second_draws[:, k].tolist()), value=point)
        for k, point in enumerate(points)
    )
    place = TASKS[first.task].headline_place
    p = _two_sided_p(first_draws[:, place] - second_draws[:, place])
    return Comparison(first.name, second.name, estimates, place, p=p, p_holm=p)


def _two_sided_p(gaps: Float[ndarray, "resample"]) -> float:
    """Twice the smaller share of resamples on either side of zero, counting the data themselves as one."""
    # Means over folds of equal counts may differ in the last bit.
    gaps = gaps.round(12)
    below, above = (1 + (gaps <= 0).sum()) / (1 + len(gaps)), (1 + (gaps >= 0).sum()) / (1 + len(gaps))
    return float(min(1.0, 2 * min(below, above)))


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


def _check_same_clips(first: RunRecord, second: RunRecord) -> None:
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
