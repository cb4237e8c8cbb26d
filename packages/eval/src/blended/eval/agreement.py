"""How far numbers agree with numbers: correlation, concordance, distance of shares and intensities."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError


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


def _centred(values: Float[ndarray, "clip emotion"]) -> Float[ndarray, "clip emotion"]:
    """Minus the mean; exactly 0 where a column is constant, whose mean may be rounded."""
    if len(values) < 2:
        raise InputError(f"a correlation needs at least two clips, got {len(values)}")
    varies = values.max(axis=0) > values.min(axis=0)
    return np.where(varies, values - values.mean(axis=0), 0.0)
