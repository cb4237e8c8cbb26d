"""Whether probabilities mean what they say: reliability bins and expected calibration error.

Naeini et al. 2015 (AAAI) and Guo et al. 2017 (ICML); the classwise form is from Kull et al. 2019 (NeurIPS).
Targets may be shares: a probability of 0.3 for an emotion is right where its share is 30 % on average.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError

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
