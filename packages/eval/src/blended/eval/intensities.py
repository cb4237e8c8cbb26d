"""How well intensities are predicted: correlation and concordance per emotion, averaged, with intervals.

Where every emotion has a strength of its own there is nothing to decide: a model's values are taken as
they are, whatever decision a recipe names. Both measures come from sums of products, and so does every
actor's part in them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from blended.data import InputError
from blended.eval.agreement import concordance, pearson
from blended.eval.decisions.identity import IDENTITY, intensities
from blended.eval.evidence import Evidence
from blended.eval.intervals import Basis, Estimate, Spread, spread
from blended.eval.protocol import Protocol, normalised

TINY = 1e-12
"""A variance below it is rounding: such a column says nothing and correlates with nothing."""


@dataclass(frozen=True, slots=True)
class IntensityFold:
    """What one fold gave."""

    fold: int
    clips: int
    numbers: Mapping[str, float]
    """`mean_pearson` and `mean_concordance`, in [-1, 1]."""
    parameters: Mapping[str, float]
    """Empty: nothing is fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class IntensityEvaluation:
    """Intensities for all clips, and what they are worth."""

    protocol: Protocol
    decided: Float[ndarray, "clip emotion"]
    """In [0, 1]."""
    folds: list[IntensityFold]
    mean_pearson: Estimate
    """Unweighted means over folds with 95 % intervals over actors."""
    mean_concordance: Estimate
    per_emotion: Mapping[str, tuple[Estimate, Estimate]]
    """Pearson's correlation and concordance of every emotion, likewise."""
    basis: Basis
    """What intervals are over."""

    @property
    def measured(self) -> dict[str, Estimate]:
        """Every measure by its key."""
        return {"mean_pearson": self.mean_pearson, "mean_concordance": self.mean_concordance}


def evaluate_intensities(
    evidence: Evidence, truth: Float[ndarray, "clip emotion"], protocol: Protocol
) -> IntensityEvaluation:
    """Measures fold by fold; nothing is fitted.

    Raises InputError if truth and evidence are not of as many clips, or scores are to be normalised:
    standardised values are no intensities.
    """
    if len(truth) != len(evidence.folds):
        raise InputError(f"got {len(truth)} labels for the scores of {len(evidence.folds)} clips")
    protocol = of_intensities(protocol)
    decided = np.array([soft.values for soft in intensities(normalised(evidence, protocol))])
    folds = [
        _fold(int(fold), decided[evidence.folds == fold], truth[evidence.folds == fold])
        for fold in np.unique(evidence.folds)
    ]
    where, names = (evidence.actors, evidence.folds), evidence.space.emotions
    means = intensity_spread(truth, decided, *where)
    own = _spread(truth, decided, *where, lambda occurs: np.eye(len(occurs))).estimates
    by_emotion = {name: (own[k], own[k + len(names)]) for k, name in enumerate(names)}
    pearsons, concordances = means.estimates
    return IntensityEvaluation(protocol, decided, folds, pearsons, concordances, by_emotion, means.basis)


def of_intensities(protocol: Protocol) -> Protocol:
    """The protocol with the only decision there is here."""
    if protocol.normalise != "none":
        raise InputError(
            f"normalise is {protocol.normalise!r}, but scores standardised per actor are no intensities: use "
            f"normalise none; `standardise: actor` of a fusion standardises features instead"
        )
    return replace(protocol, decision=IDENTITY, calibrate="raw", presence_weight=0.5)


def intensity_spread(
    truth: Float[ndarray, "clip emotion"],
    decided: Float[ndarray, "clip emotion"],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
) -> Spread:
    """Mean Pearson and mean concordance, means over folds, and every actor's part."""
    return _spread(truth, decided, actors, folds, _means)


def _means(occurs: Bool[ndarray, "agreement"]) -> Float[ndarray, "agreement 2"]:
    return np.repeat(np.eye(2), len(occurs) // 2, axis=0) / (len(occurs) // 2)


def _spread(
    truth: Float[ndarray, "clip emotion"],
    decided: Float[ndarray, "clip emotion"],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    combine: Callable[[ndarray], ndarray],
) -> Spread:
    # Around a middle value, against rounding; neither measure is moved by it.
    middle = decided.mean(axis=0)
    p, t = decided - middle, truth - middle
    products = np.stack([np.ones_like(p), p, t, p * p, t * t, p * t], axis=-1)
    all_clips = np.ones((len(p), 2 * p.shape[1]))
    return spread(products, all_clips, actors, folds, _agreement, combine, lowest=-1.0)


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


def _fold(
    fold: int, decided: Float[ndarray, "clip emotion"], truth: Float[ndarray, "clip emotion"]
) -> IntensityFold:
    numbers = {
        "mean_pearson": float(pearson(decided, truth).mean()),
        "mean_concordance": float(concordance(decided, truth).mean()),
    }
    return IntensityFold(fold, len(truth), numbers, {})
