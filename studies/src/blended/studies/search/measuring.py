"""Numbers of stored predictions: per fold, with intervals, and the difference of two.

Nothing is fitted here: decisions are taken as they were stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError, LabelSpace
from blended.eval.comparison import SIGNIFICANCE
from blended.eval.intervals import NUM_RESAMPLES, Estimate
from blended.eval.predictions import Predictions
from blended.eval.tasks import TASKS, Measure, Truth
from blended.studies.search.outcome import FoldNumbers


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second, on the same resampled actors."""

    first: str
    second: str
    measures: tuple[tuple[str, Estimate], ...]
    """What is compared, in words, and by how much, with 95 % intervals."""
    headline: Estimate
    """The one of them that runs are told apart by."""
    p: float
    """Two-sided, for the headline."""
    p_holm: float
    """`p` corrected for all differences that are reported together (Holm 1979)."""

    @property
    def is_noise(self) -> bool:
        """Whether the two cannot be told apart."""
        return self.p_holm >= SIGNIFICANCE


def measures(space: LabelSpace) -> tuple[Measure, ...]:
    """What a task is judged by."""
    return TASKS[space.task].measures


def estimates(predictions: Predictions, space: LabelSpace, seed: int = 0) -> dict[str, Estimate]:
    """Measure -> unweighted mean over folds with its 95 % interval, actors resampled within folds."""
    point = resampled(predictions, space, seed=None, num_resamples=1)[0]
    low, high = np.percentile(resampled(predictions, space, seed=seed), [2.5, 97.5], axis=0)
    named = zip(measures(space), point, low, high, strict=True)
    return {one.key: Estimate(float(v), float(a), float(b)) for one, v, a, b in named}


def fold_numbers(predictions: Predictions, space: LabelSpace) -> dict[int, FoldNumbers]:
    """Of every fold; tasks without blends have neither presence nor salience."""
    folds = sorted({fold for fold in predictions.folds if fold is not None})
    found: dict[int, FoldNumbers] = {}
    for fold in folds:
        rows = [row for row, one in enumerate(predictions.folds) if one == fold]
        values = resampled(predictions.take(rows), space, seed=None, num_resamples=1)[0]
        named = {one.key: float(value) for one, value in zip(measures(space), values, strict=True)}
        found[fold] = FoldNumbers(
            presence=named.get("presence_accuracy"),
            salience=named.get("salience_accuracy"),
            score=named[TASKS[space.task].headline.key],
        )
    return found


def difference(
    first: str, a: Predictions, second: str, b: Predictions, space: LabelSpace, seed: int = 0
) -> Difference:
    """Of two sets of predictions for the same clips; raises InputError for different clips or folds."""
    if a.clip_ids != b.clip_ids or a.folds != b.folds:
        raise InputError(
            f"{first!r} and {second!r} do not cover the same clips and folds ({len(a.clip_ids)} and "
            f"{len(b.clip_ids)} clips): differences must be paired"
        )
    points = [resampled(one, space, seed=None, num_resamples=1)[0] for one in (a, b)]
    gaps = resampled(a, space, seed=seed) - resampled(b, space, seed=seed)
    low, high = np.percentile(gaps, [2.5, 97.5], axis=0)
    named = zip(measures(space), points[0] - points[1], low, high, strict=True)
    place = TASKS[space.task].headline_place
    # With one actor a fold nothing is resampled: the interval has no width, and nothing can be told.
    few = len(set(zip(a.folds, a.actors, strict=True))) == len(set(a.folds))
    p = 1.0 if few else _two_sided_p(gaps[:, place])
    found = tuple((one.words, Estimate(float(v), float(x), float(y))) for one, v, x, y in named)
    return Difference(first, second, found, found[place][1], p, p)


def resampled(
    predictions: Predictions, space: LabelSpace, *, seed: int | None, num_resamples: int = NUM_RESAMPLES
) -> Float[ndarray, "resample measure"]:
    """Every measure of every resample of actors; `seed=None` takes every actor once."""
    actors = np.unique(np.array(predictions.actors), return_inverse=True)[1].astype(np.int64)
    folds = np.array([fold or 0 for fold in predictions.folds], dtype=np.int64)
    truth, decided = _truth(predictions), _decided(predictions)
    return TASKS[space.task].resample(truth, decided, actors, folds, seed=seed, num_resamples=num_resamples)


def joined(parts: Sequence[tuple[int, Predictions]]) -> Predictions:
    """Fold k from the k-th predictions, for numbers of a configuration that was chosen fold by fold.

    Clips come in the order of the first; raises InputError where the others have other clips.
    """
    first = parts[0][1]
    by_fold = dict(parts)
    if any(one.clip_ids != first.clip_ids for one in by_fold.values()):
        raise InputError("trials of one study were evaluated on different clips: run them again")
    rows = [(row, by_fold[fold]) for row, fold in enumerate(first.folds) if fold is not None]
    true = first.true_intensities
    return Predictions(
        clip_ids=first.clip_ids,
        actors=first.actors,
        folds=first.folds,
        probabilities=np.stack([one.probabilities[row] for row, one in rows]),
        decided=tuple(one.decided[row] for row, one in rows) if first.decided else (),
        truth=first.truth,
        true_intensities=true,
    )


def _truth(predictions: Predictions) -> Truth:
    if predictions.true_intensities is not None:
        return predictions.true_intensities
    return [mixture for mixture in predictions.truth if mixture is not None]


def _decided(predictions: Predictions) -> Truth:
    return [*predictions.decided] if predictions.decided else predictions.probabilities


def _two_sided_p(gaps: Float[ndarray, "resample"]) -> float:
    """Twice the smaller share of resamples on either side of zero, counting the data themselves as one."""
    # Means over folds of equal counts may differ in the last bit.
    gaps = gaps.round(12)
    below, above = (1 + (gaps <= 0).sum()) / (1 + len(gaps)), (1 + (gaps >= 0).sum()) / (1 + len(gaps))
    return float(min(1.0, 2 * min(below, above)))
