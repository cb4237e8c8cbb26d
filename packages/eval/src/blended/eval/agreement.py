"""How far numbers agree with numbers, and labels with labels: correlation, distance, recall.

Shares and intensities are [clip, emotion]; single labels are mixtures of one emotion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.eval.intervals import NUM_RESAMPLES, Estimate


@dataclass(frozen=True, slots=True)
class Recalls:
    """Recall of single labels."""

    unweighted: float
    """UAR: the mean recall over the emotions that occur, in [0, 1]."""
    weighted: float
    """WAR: the share of clips that are right (accuracy), in [0, 1]."""


@dataclass(frozen=True, slots=True)
class RecallEstimates:
    """UAR and WAR, unweighted means over folds with 95 % intervals, actors resampled within folds."""

    unweighted: Estimate
    weighted: Estimate


def pearson(
    predicted: Float[ndarray, "clip emotion"], true: Float[ndarray, "clip emotion"]
) -> Float[ndarray, "emotion"]:
    """Pearson's correlation over clips of every emotion, in [-1, 1].

    0 where either does not vary: a constant says nothing. Raises InputError for fewer than two clips.

    >>> pearson(np.array([[0.0, 0.5], [0.2, 0.5]]), np.array([[0.1, 0.0], [0.9, 1.0]])).round(6)
    array([1., 0.])
    """
    p, t = _centred(predicted), _centred(true)
    scale = np.sqrt((p**2).mean(axis=0) * (t**2).mean(axis=0))
    return np.divide((p * t).mean(axis=0), scale, out=np.zeros_like(scale), where=scale > 0).clip(-1, 1)


def mean_pearson(predicted: Float[ndarray, "clip emotion"], true: Float[ndarray, "clip emotion"]) -> float:
    """The mean over emotions of Pearson's correlation, in [-1, 1]; how intensities are ranked.

    >>> mean_pearson(np.array([[0.0], [0.2]]), np.array([[0.9], [0.1]]))
    -1.0
    """
    return float(pearson(predicted, true).mean())


def concordance(
    predicted: Float[ndarray, "clip emotion"], true: Float[ndarray, "clip emotion"]
) -> Float[ndarray, "emotion"]:
    """Lin's concordance correlation coefficient (Biometrics 1989) of every emotion, in [-1, 1].

    Unlike Pearson's it falls with a difference of means or of scales. 0 where either does not vary.

    >>> concordance(np.array([[0.0], [0.2]]), np.array([[0.0], [0.2]]))
    array([1.])
    """
    p, t = _centred(predicted), _centred(true)
    spread = (p**2).mean(axis=0) + (t**2).mean(axis=0)
    scale = spread + (predicted.mean(axis=0) - true.mean(axis=0)) ** 2
    return np.divide(2 * (p * t).mean(axis=0), scale, out=np.zeros_like(scale), where=spread > 0)


def mean_concordance(
    predicted: Float[ndarray, "clip emotion"], true: Float[ndarray, "clip emotion"]
) -> float:
    """The mean over emotions of the concordance correlation coefficient, in [-1, 1].

    >>> mean_concordance(np.array([[0.0], [0.2]]), np.array([[0.0], [0.2]]))
    1.0
    """
    return float(concordance(predicted, true).mean())


def earth_movers_distance(
    predicted: Float[ndarray, "clip emotion"], true: Float[ndarray, "clip emotion"]
) -> float:
    """The mean over clips of the share that must move to make one distribution the other, in [0, 1].

    Emotions have no order, so any move costs its share: half the sum of absolute differences.
    Raises InputError for no clips.

    >>> earth_movers_distance(np.array([[0.7, 0.3]]), np.array([[0.5, 0.5]]))
    0.2
    """
    if not len(true):
        raise InputError("earth mover's distance of no clips is undefined")
    return float((np.abs(predicted - true).sum(axis=1) / 2).mean().round(12))


def recalls(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> Recalls:
    """Unweighted and weighted average recall of single labels; a decided blend is wrong.

    Raises InputError for no clips, sequences of different lengths, or a truth of two emotions.

    >>> ang, sad = Mixture.single("ang"), Mixture.single("sad")
    >>> recalls([ang, ang, ang, sad], [ang, ang, ang, ang])
    Recalls(unweighted=0.5, weighted=0.75)
    """
    labels, right = _labels(truth, decided)
    totals = np.bincount(labels)
    return Recalls(float((np.bincount(labels, weights=right) / totals).mean()), float(right.mean()))


def recall_bootstrap(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    *,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> RecallEstimates:
    """UAR and WAR with intervals like those of `intervals.actor_bootstrap`.

    In a resample of a fold, UAR is the mean over the emotions that its drawn actors show.
    """
    labels, right = _labels(truth, decided)
    rng = np.random.default_rng(seed)
    points: list[Float[ndarray, "1 2"]] = []
    samples: list[Float[ndarray, "resample 2"]] = []
    for fold in np.unique(folds):
        rows = folds == fold
        counts = _counts_per_actor(labels, right, actors, rows)
        drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=num_resamples)
        points.append(_recalls_of(np.ones((1, len(counts))), counts))
        samples.append(_recalls_of(drawn.astype(float), counts))
    point = np.mean(points, axis=0)[0]
    bounds = np.percentile(np.mean(samples, axis=0), [2.5, 97.5], axis=0)
    return RecallEstimates(*(Estimate(*map(float, (point[k], *bounds[:, k]))) for k in range(2)))


def _counts_per_actor(
    labels: Int[ndarray, "clip"], right: Float[ndarray, "clip"], actors: Int[ndarray, "clip"], rows: ndarray
) -> Float[ndarray, "actor 2 emotion"]:
    """Per actor and emotion: clips that are right, clips."""
    names, numbers = np.unique(actors[rows], return_inverse=True)
    num_emotions = int(labels.max()) + 1
    cells, size = numbers * num_emotions + labels[rows], len(names) * num_emotions
    sums = [np.bincount(cells, weights=weights, minlength=size) for weights in (right[rows], None)]
    return np.stack([np.reshape(one, (len(names), num_emotions)).astype(float) for one in sums], axis=1)


def _recalls_of(
    drawn: Float[ndarray, "resample actor"], counts: Float[ndarray, "actor 2 emotion"]
) -> Float[ndarray, "resample 2"]:
    right, total = np.moveaxis(np.tensordot(drawn, counts, axes=1), 1, 0)
    occurs = total > 0
    recall = np.divide(right, total, out=np.zeros_like(right), where=occurs)
    unweighted = recall.sum(axis=1) / occurs.sum(axis=1)
    return np.stack([unweighted, right.sum(axis=1) / total.sum(axis=1)], axis=1)


def _labels(
    truth: Sequence[Mixture], decided: Sequence[Mixture]
) -> tuple[Int[ndarray, "clip"], Float[ndarray, "clip"]]:
    """A number per true emotion, and 1 where it is decided."""
    if len(truth) != len(decided):
        raise InputError(f"got {len(truth)} true and {len(decided)} decided labels: lengths must agree")
    if not truth:
        raise InputError("recall of no clips is undefined")
    if blends := [mixture.name for mixture in truth if mixture.is_blend]:
        raise InputError(
            f"recall is of single labels, but {len(blends)} true labels have two emotions, the first "
            f"{blends[0]}: use presence and salience accuracy"
        )
    names = [mixture.name for mixture in truth]
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return numbers, np.array([t == d for t, d in zip(truth, decided, strict=True)], dtype=np.float64)


def _centred(values: Float[ndarray, "clip emotion"]) -> Float[ndarray, "clip emotion"]:
    """Minus the mean; exactly 0 where a column is constant, whose mean may be rounded."""
    if len(values) < 2:
        raise InputError(f"a correlation needs at least two clips, got {len(values)}")
    varies = values.max(axis=0) > values.min(axis=0)
    return np.where(varies, values - values.mean(axis=0), 0.0)
