"""Confidence intervals by resampling actors within folds.

Clips of one actor are correlated, so clips are not the unit of resampling (Field and Welsh 2007 on
the cluster bootstrap). The published protocol averages over folds; a resample therefore draws, in every
fold, as many actors as it has, with replacement, and averages the fold accuracies unweighted. Percentile
intervals of nine or ten actors a fold are a little narrow: in simulation 94 of 100 hold the true value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data.digits import small
from blended.eval.metrics import Correctness

NUM_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = (small(one) for one in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class ScoreEstimates:
    """Presence and salience accuracy and their mean, each with its interval."""

    presence: Estimate
    salience: Estimate
    score: Estimate


def actor_bootstrap(
    compared: Correctness,
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    *,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> ScoreEstimates:
    """95 % percentile intervals of the unweighted means over folds, actors resampled within folds."""
    samples = resample(compared, actors, folds, seed=seed, num_resamples=num_resamples)
    point = resample(compared, actors, folds, seed=None, num_resamples=1)
    return ScoreEstimates(*estimates_of(point, samples))


def estimates_of(
    point: Float[ndarray, "1 measure"], samples: Float[ndarray, "resample measure"]
) -> tuple[Estimate, ...]:
    """The values with the 95 % percentile intervals of their resamples."""
    bounds = np.percentile(samples, [2.5, 97.5], axis=0)
    rows = zip(point[0].tolist(), *bounds.tolist(), strict=True)
    return tuple(Estimate(*row) for row in rows)


def draw_actors(
    rng: np.random.Generator | None, num_actors: int, num_resamples: int
) -> Float[ndarray, "{num_resamples} {num_actors}"]:
    """How often every actor of a fold is drawn in every resample; None draws every actor once."""
    if rng is None:
        return np.ones((num_resamples, num_actors))
    drawn = rng.multinomial(num_actors, np.full(num_actors, 1 / num_actors), size=num_resamples)
    return drawn.astype(np.float64)


def resample(
    compared: Correctness,
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    *,
    seed: int | None,
    num_resamples: int,
) -> Float[ndarray, "resample metric"]:
    """Presence, salience and score of every resample; `seed=None` weighs every actor once.

    Two calls with one seed draw the same actors, so differences between systems are paired.
    """
    rng = None if seed is None else np.random.default_rng(seed)
    accuracies: list[Float[ndarray, "resample 2"]] = []
    for fold in np.unique(folds):
        counts = _counts_per_actor(compared, actors, folds == fold)
        drawn = draw_actors(rng, len(counts), num_resamples)
        right_clips_right_blends = (drawn @ counts).reshape(num_resamples, 2, 2)
        right, total = right_clips_right_blends[..., 0], right_clips_right_blends[..., 1]
        accuracies.append(np.divide(right, total, out=np.zeros_like(right), where=total > 0))
    means = np.mean(accuracies, axis=0)
    return np.concatenate([means, means.mean(axis=1, keepdims=True)], axis=1)


def _counts_per_actor(
    compared: Correctness, actors: Int[ndarray, "clip"], rows: ndarray
) -> Float[ndarray, "actor 4"]:
    """Per actor: clips with right presence, clips, blends with right salience, blends."""
    columns = (compared.presence, np.ones_like(compared.presence), compared.salience, compared.is_blend)
    _, numbers = np.unique(actors[rows], return_inverse=True)
    return np.stack([np.bincount(numbers, weights=column[rows]) for column in columns], axis=1)


def difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of paired resamples of two systems, first minus second."""
    gaps = np.asarray(first) - np.asarray(second)
    low, high = np.percentile(gaps, [2.5, 97.5])
    return Estimate(float(gaps.mean()), float(low), float(high))
