"""What a measure is: a pure function, what it is called, and how its intervals come about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from blended.data import Mixture
from blended.data.labels import Task
from blended.eval.intervals import Spread, beside, ratio, spread

Labels = Sequence[Mixture] | Float[ndarray, "clip emotion"]
"""A mixture per clip, or a row of intensities: what is true, or what is decided."""


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What measures are made from: numbers per clip whose sums over the clips of a fold say everything."""

    values: Float[ndarray, "clip ..."]
    """Summed over clips."""
    counted: Float[ndarray, "clip component"]
    """As 0 or 1, which clips a component is of."""
    statistic: Callable[[ndarray], ndarray] = ratio
    """Sums of values [any, ...] -> components [any, component]; by default of [any, component, 2], the first
    term by the second."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that answers are judged by; an entry of `MEASURES`."""

    key: str
    """In files and for programs, such as `presence_accuracy`."""
    short: str
    """What names the ends of its interval: `presence_low`."""
    title: str
    """Head of a column."""
    words: str
    """In a sentence."""
    tasks: tuple[Task, ...]
    """What it is a measure of."""
    function: Callable[[Any, Any], float]
    """(truth, answers) of the clips of a fold -> value; reported is the unweighted mean over folds."""
    terms: Callable[[Any, Any], Terms]
    """(truth, answers) of all clips -> what it is made from, for intervals over actors."""
    weights: Callable[[ndarray], ndarray]
    """Which components a fold has [component] -> what each counts [component]."""
    lowest: float = 0.0
    """That it can be; the highest is 1."""
    larger_is_better: bool = True
    by_fold: bool = True
    """Whether it is listed fold by fold; not of what follows from measures that are."""


def spread_of(
    measures: Sequence[Measure],
    truth: Labels,
    decided: Labels,
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
) -> Spread:
    """Every measure, in the order given, as a mean over folds, and the part that every actor has in it."""
    together: dict[Callable[[Any, Any], Terms], list[int]] = {}
    for place, one in enumerate(measures):
        together.setdefault(one.terms, []).append(place)
    found: list[Spread] = []
    for terms_of, places in together.items():
        terms = terms_of(truth, decided)
        own = [measures[place] for place in places]

        def combine(occurs: Bool[ndarray, "component"], own: Sequence[Measure] = own) -> ndarray:
            return np.stack([one.weights(occurs) for one in own], axis=1)

        lowest = np.array([one.lowest for one in own])
        found.append(spread(terms.values, terms.counted, actors, folds, terms.statistic, combine, lowest))
    order = [place for places in together.values() for place in places]
    return beside(found, [order.index(place) for place in range(len(measures))])


def alone(occurs: Bool[ndarray, "component"]) -> Float[ndarray, "component"]:
    """The weights of a measure that is its only component."""
    return np.ones(len(occurs))
