"""How far numbers agree with numbers: correlation, concordance, distance, expected calibration error.

Bins of reliability are those of Naeini et al. 2015 (AAAI) and Guo et al. 2017 (ICML); the classwise form is
from Kull et al. 2019 (NeurIPS). Targets may be shares: a probability of 0.3 for an emotion is right where its
share is 30 % on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from blended.data import InputError
from blended.eval.estimate import Estimate
from blended.eval.intervals import spread
from blended.eval.measures.measure import Measure, Terms

TINY = 1e-12
"""A variance below it is rounding: such a column says nothing and correlates with nothing."""


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


def agreement_by_emotion(
    truth: Float[ndarray, "clip emotion"],
    predicted: Float[ndarray, "clip emotion"],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    emotions: Sequence[str],
) -> dict[str, tuple[Estimate, Estimate]]:
    """Pearson's correlation and concordance of every emotion: means over folds with intervals over actors."""
    terms = _terms(truth, predicted)
    every = lambda occurs: np.eye(len(occurs))  # noqa: E731 - every component is a measure here
    own = spread(terms.values, terms.counted, actors, folds, _agreement, every, lowest=-1.0).estimates
    return {name: (own[k], own[k + len(emotions)]) for k, name in enumerate(emotions)}


def _mean_pearson(truth: Float[ndarray, "clip emotion"], predicted: Float[ndarray, "clip emotion"]) -> float:
    return mean_pearson(predicted, truth)


def _mean_concordance(
    truth: Float[ndarray, "clip emotion"], predicted: Float[ndarray, "clip emotion"]
) -> float:
    return mean_concordance(predicted, truth)


def _terms(truth: Float[ndarray, "clip emotion"], predicted: Float[ndarray, "clip emotion"]) -> Terms:
    """Sums of products, of which correlation and concordance of every emotion are made."""
    # Around a middle value, against rounding; neither is moved by it.
    middle = predicted.mean(axis=0)
    p, t = predicted - middle, truth - middle
    products = np.stack([np.ones_like(p), p, t, p * p, t * t, p * t], axis=-1)
    return Terms(products, np.ones((len(p), 2 * p.shape[1])), _agreement)


def _agreement(sums: Float[ndarray, "*any emotion 6"]) -> Float[ndarray, "*any agreement"]:
    """Pearson of every emotion, then concordance, from sums; 0 where either does not vary."""
    count, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
    p, t = p / count, t / count
    var_p, var_t = np.maximum(pp / count - p * p, 0), np.maximum(tt / count - t * t, 0)
    covariance = pt / count - p * t
    varies = (var_p > TINY) & (var_t > TINY)
    scale = np.sqrt(var_p * var_t)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=varies).clip(-1, 1)
    distance = var_p + var_t + (p - t) ** 2
    agreed = np.divide(2 * covariance, distance, out=np.zeros_like(scale), where=varies)
    return np.concatenate([correlation, agreed], axis=-1)


def _of_pearsons(occurs: Bool[ndarray, "agreement"]) -> Float[ndarray, "agreement"]:
    return np.repeat([1.0, 0.0], len(occurs) // 2) / (len(occurs) // 2)


def _of_concordances(occurs: Bool[ndarray, "agreement"]) -> Float[ndarray, "agreement"]:
    return np.repeat([0.0, 1.0], len(occurs) // 2) / (len(occurs) // 2)


def _centred(values: Float[ndarray, "clip emotion"]) -> Float[ndarray, "clip emotion"]:
    """Minus the mean; exactly 0 where a column is constant, whose mean may be rounded."""
    if len(values) < 2:
        raise InputError(f"a correlation needs at least two clips, got {len(values)}")
    varies = values.max(axis=0) > values.min(axis=0)
    return np.where(varies, values - values.mean(axis=0), 0.0)


MEAN_PEARSON = Measure(
    "mean_pearson",
    "mean_pearson",
    "Pearson",
    "mean Pearson correlation",
    ("intensities",),
    _mean_pearson,
    _terms,
    _of_pearsons,
    lowest=-1.0,
)
MEAN_CONCORDANCE = Measure(
    "mean_concordance",
    "mean_concordance",
    "CCC",
    "mean concordance correlation",
    ("intensities",),
    _mean_concordance,
    _terms,
    _of_concordances,
    lowest=-1.0,
)


NUM_BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What a reliability diagram draws: bins of equal width over [0, 1] that are not empty."""

    said: Float[ndarray, "bin"]
    """Mean probability in the bin."""
    found: Float[ndarray, "bin"]
    """Mean target in the bin."""
    counts: Int[ndarray, "bin"]

    @property
    def error(self) -> float:
        """The expected calibration error: mean of |said - found| over all values, in [0, 1]."""
        return float(np.average(np.abs(self.said - self.found), weights=self.counts))


def reliability(
    said: Float[ndarray, "value"], found: Float[ndarray, "value"], *, num_bins: int = NUM_BINS
) -> Reliability:
    """Sorts probabilities into bins (closed below; 1 belongs to the last).

    Raises InputError for no values or probabilities outside [0, 1].

    >>> reliability(np.array([0.9, 0.9, 0.1]), np.array([1.0, 0.0, 0.0])).found
    array([0. , 0.5])
    """
    if not len(said):
        raise InputError("the calibration error of no clips is undefined")
    if said.min() < 0 or said.max() > 1 + 1e-9:
        raise InputError(f"probabilities must lie in [0, 1], got {said.min():g} to {said.max():g}")
    bins = np.minimum((said * num_bins).astype(np.int64), num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    kept = counts > 0
    sums = [np.bincount(bins, weights=values, minlength=num_bins)[kept] for values in (said, found)]
    return Reliability(sums[0] / counts[kept], sums[1] / counts[kept], counts[kept])


def classwise_error(
    probabilities: Float[ndarray, "clip emotion"],
    targets: Float[ndarray, "clip emotion"],
    *,
    num_bins: int = NUM_BINS,
) -> float:
    """The mean over emotions of the expected calibration error of each, in [0, 1].

    >>> classwise_error(np.array([[0.75, 0.25]]), np.array([[1.0, 0.0]]))
    0.25
    """
    columns = range(probabilities.shape[1])
    errors = [reliability(probabilities[:, k], targets[:, k], num_bins=num_bins).error for k in columns]
    return float(np.mean(errors))


def confidence(
    probabilities: Float[ndarray, "clip emotion"],
    targets: Float[ndarray, "clip emotion"],
    *,
    num_bins: int = NUM_BINS,
) -> Reliability:
    """Of the most probable emotion of every clip: its probability against its target.

    Its `error` is the usual expected calibration error where targets are 0 or 1.

    >>> confidence(np.array([[0.75, 0.25]]), np.array([[1.0, 0.0]])).error
    0.25
    """
    rows, top = np.arange(len(probabilities)), probabilities.argmax(axis=1)
    return reliability(probabilities[rows, top], targets[rows, top], num_bins=num_bins)
