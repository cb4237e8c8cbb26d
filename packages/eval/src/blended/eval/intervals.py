"""95 % intervals of means over folds, of measures and of differences, from how the actors differ.

Clips of one actor are correlated, so the actors are the sample: all of them together, for a fold may have
one. What is printed is a mean over folds of numbers made from sums over clips. Every actor has a part in it:
how far their clips pull it from where everybody's clips put it (Jaeckel 1972, "The infinitesimal
jackknife"), each emotion's or blend's apart. The variance of what is printed is the sum of the squared
parts, each enlarged by what an actor pulls the middle along (CR2 of Bell and McCaffrey 2002, "Bias reduction
in standard errors"). Intervals are Student's, with as many degrees of freedom as so many unequal actors are
worth equal ones (Kish 1965), less one. Measures have theirs on the logistic scale, inside their range. Two
systems are compared on the same clips, part by part.

Nothing is drawn at random: percentiles of resampled actors miss the true value two to three times too often
with four actors a fold, and have no width with one (`benchmarks/intervals.py`; its table is in LOG.md).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from blended.eval.estimate import Basis, Estimate

MISSED = 0.05
"""Share of intervals that miss."""
LESS = 0.8
"""Of their weight that actors lose to show their pull. For ratios any value gives the same; correlations of
few actors, which are curved, are too sure of themselves with small ones (`benchmarks/intervals.py`)."""
ROUNDING = 1e-12
"""A part below it is none."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Measures, and the part that every actor has in them."""

    values: Float[ndarray, "measure"]
    """Unweighted means over folds."""
    parts: Float[ndarray, "actor measure"]
    """How far an actor pulls each value; the squares add up to its variance."""
    unknown: Float[ndarray, "measure"]
    """The largest standard error there can be of what a single actor shows, such as an emotion; mostly 0."""
    counts: Int[ndarray, "measure"]
    """Actors who show what a measure is of."""
    freedom: Float[ndarray, "measure"]
    """Degrees of freedom, 1 or more."""
    num_folds: int
    lowest: Float[ndarray, "measure"]
    """That a measure can be; the highest is 1."""
    is_difference: bool = False
    """Of two systems: on either side of 0."""

    @property
    def basis(self) -> Basis:
        """What intervals are over."""
        return Basis(len(self.parts), self.num_folds)

    @property
    def errors(self) -> Float[ndarray, "measure"]:
        """Standard errors of the values."""
        unknown = self.unknown * (2 if self.is_difference else 1)
        return np.sqrt((self.parts**2).sum(axis=0) + unknown**2)

    @property
    def highest(self) -> Float[ndarray, "measure"]:
        """The highest that a value can be; of a difference, the other way round the lowest."""
        return 1 - self.lowest if self.is_difference else np.ones_like(self.lowest)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Every value with its 95 % interval; none where fewer than two actors count, or a value is none."""
        return tuple(Estimate(row.value, *(self._ends(row) or (None, None))) for row in self._rows())

    @property
    def p_values(self) -> tuple[float, ...]:
        """Two-sided, that a value is 0; 1 where nothing can be said, as of fewer than two actors."""
        return tuple(_p(row) if row.tells else 1.0 for row in self._rows())

    def minus(self, other: "Spread") -> "Spread":
        """The difference to another system's answers for the same clips."""
        values, parts = self.values - other.values, self.parts - other.parts
        return replace(self, values=values, parts=parts, is_difference=True)

    def _rows(self) -> list["_Row"]:
        highest = self.highest
        lowest = -highest if self.is_difference else self.lowest
        columns = (self.values, self.errors, self.freedom, self.counts, lowest, highest)
        return [_Row(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _ends(self, row: "_Row") -> tuple[float, float] | None:
        value, low, high = row.value, row.low, row.high
        if not row.tells:
            return None
        if row.error < ROUNDING:
            # All alike, which says little of others: were more people than these unlike them, and be it as
            # far as can be, so many alike would be met in less than 5 of 100 samples.
            unlike = 1 - MISSED ** (1 / row.count)
            return value - unlike * (value - low), value + unlike * (high - value)
        reach = quantile(row.freedom) * row.error
        if self.is_difference:
            return max(low, value - reach), min(high, value + reach)
        share = min(max((value - low) / (high - low), ROUNDING), 1 - ROUNDING)
        centre, reach = math.log(share / (1 - share)), reach / (high - low) / (share * (1 - share))
        return low + (high - low) * _logistic(centre - reach), low + (high - low) * _logistic(centre + reach)


@dataclass(frozen=True, slots=True)
class _Row:
    """One measure."""

    value: float
    error: float
    freedom: float
    count: int
    low: float
    """That it can be; so for high."""
    high: float

    @property
    def tells(self) -> bool:
        """Whether anything can be said of others from it."""
        return self.count > 1 and math.isfinite(self.value) and math.isfinite(self.error)


def _p(row: _Row) -> float:
    if row.error < ROUNDING:
        return float((1 + abs(row.value) / row.high) ** -row.count)
    return two_sided_p(row.value / row.error, row.freedom)


def spread(
    terms: Float[ndarray, "clip ..."],
    counted: Shaped[ndarray, "clip component"],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    statistic: Callable[[ndarray], ndarray],
    combine: Callable[[ndarray], ndarray],
    lowest: float | Float[ndarray, "measure"] = 0.0,
) -> Spread:
    """Measures that are weighted sums of components: a statistic of sums of `terms` over clips of a fold.

    `statistic` takes sums [..., terms] to [..., component]; `counted` says, as 0 or 1, which clips a
    component is of; `combine` takes which components a fold has [component] to weights [component, measure].
    """
    names, who = np.unique(actors, return_inverse=True)
    kept = [
        _fold(terms[rows], counted[rows], who[rows], statistic, combine)
        for rows in (folds == fold for fold in np.unique(folds))
    ]
    has = np.maximum(sum(one.occurs.astype(float) for one in kept), 1)
    middle = sum(one.values for one in kept) / has
    num_measures = kept[0].weights.shape[1]
    parts, pulls, alone = (np.zeros((len(names), num_measures)) for _ in range(3))
    for one in kept:
        # Of what everybody does, an actor's share is in `middle` too: CR2 takes this back.
        leverage = one.shares / has
        single = leverage > 1 - ROUNDING
        rest = np.sqrt(np.where(single, 1, 1 - leverage))
        residual = np.where(single, 0, (one.pulls + (one.values - middle) * one.shares) / rest)
        for whole, found in ((parts, residual), (pulls, one.shares), (alone, single.astype(float))):
            whole[one.actors] += found @ one.weights / len(kept)
    values = np.mean([one.values @ one.weights for one in kept], axis=0)
    least = np.broadcast_to(np.asarray(lowest, dtype=np.float64), values.shape)
    unknown = np.sqrt((alone**2).sum(axis=0)) * ((1 - least) / 2)
    counts = (pulls > 0).sum(axis=0)
    return Spread(values, parts, unknown, counts, _freedom(pulls, counts), len(kept), least)


def ratio(sums: Float[ndarray, "*any component 2"]) -> Float[ndarray, "*any component"]:
    """Right clips by clips; 0 where there are none."""
    right, count = sums[..., 0], sums[..., 1]
    return np.divide(right, count, out=np.zeros_like(right), where=count > 0)


def beside(spreads: Sequence[Spread], order: Sequence[int]) -> Spread:
    """Measures of the same answers to the same clips as one, in the given order of all their columns."""
    if len(spreads) == 1:
        return spreads[0]
    columns = ("values", "parts", "unknown", "counts", "freedom", "lowest")
    joined = {name: np.concatenate([getattr(one, name) for one in spreads], axis=-1) for name in columns}
    # In the memory order of one spread, or sums have other last digits.
    ordered = {name: np.ascontiguousarray(values[..., order]) for name, values in joined.items()}
    return replace(spreads[0], **ordered)


def mean_of(spreads: Sequence[Spread]) -> Spread:
    """Of several answers to the same clips, such as seeds or draws: their luck is in the actors' parts."""
    values = np.mean([one.values for one in spreads], axis=0)
    return replace(spreads[0], values=values, parts=np.mean([one.parts for one in spreads], axis=0))


def two_sided_p(t: float, freedom: float) -> float:
    """How often Student's t lies farther from 0, in [0, 1]; to 1e-10, for 1 degree of freedom or more.

    >>> round(two_sided_p(2.0, 10), 6)
    0.073388
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    inside = angle / 2 * float(_WEIGHTS @ np.cos(angle / 2 * (_NODES + 1)) ** (freedom - 1))
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) * 2 / math.sqrt(math.pi)
    return max(0.0, 1 - scale * inside)


@lru_cache(maxsize=1024)
def quantile(freedom: float) -> float:
    """The t that 5 % lie farther from 0 than.

    >>> round(quantile(10.0), 6)
    2.228139
    """
    low, high = 0.0, math.pi / 2
    for _ in range(48):
        middle = (low + high) / 2
        far = two_sided_p(math.sqrt(freedom) * math.tan(middle), freedom) > MISSED
        low, high = (middle, high) if far else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """What the actors of one fold do."""

    actors: Int[ndarray, "actor"]
    values: Float[ndarray, "component"]
    """0 for a component that the fold lacks."""
    occurs: ndarray
    shares: Float[ndarray, "actor component"]
    """Of the clips."""
    pulls: Float[ndarray, "actor component"]
    """From where the clips of the fold put each value; of a ratio, share times distance."""
    weights: Float[ndarray, "component measure"]


def _fold(
    terms: ndarray,
    counted: ndarray,
    who: ndarray,
    statistic: Callable[..., ndarray],
    combine: Callable[..., ndarray],
) -> _Fold:
    order = np.argsort(who, kind="stable")
    actors, starts = np.unique(who[order], return_index=True)
    sums, sizes = (np.add.reduceat(one[order].astype(float), starts, axis=0) for one in (terms, counted))
    whole, size = sums.sum(axis=0), sizes.sum(axis=0)
    occurs = size > 0
    shares = sizes / np.where(occurs, size, 1)
    values = np.where(occurs, statistic(whole), 0)
    # An actor who counts for less is not missing: no emotion goes with them, and the statistic stays the one
    # that is printed. As fewer clips are left, a ratio moves by more than LESS of their pull.
    pulls = (values - statistic(whole - LESS * sums)) / LESS * (1 - LESS * shares)
    return _Fold(actors, values, occurs, shares, np.where(occurs, pulls, 0), combine(occurs))


def _freedom(
    pulls: Float[ndarray, "actor measure"], counts: Int[ndarray, "measure"]
) -> Float[ndarray, "measure"]:
    """Of so many actors of equal weight; 1 at least."""
    squares = (pulls**2).sum(axis=0)
    equal = pulls.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1)
    return np.maximum(1, equal * (1 - 1 / np.maximum(counts, 1)))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
