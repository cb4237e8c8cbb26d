"""How well intensities are predicted: correlation and concordance per emotion, averaged, with intervals.

Where every emotion has a strength of its own there is nothing to decide: a model's values are taken as
they are, whatever decision a recipe names. Per actor sums of products make resampling actors a product of
matrices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError
from blended.eval.agreement import concordance, pearson
from blended.eval.decisions.identity import IDENTITY, intensities
from blended.eval.evidence import Evidence
from blended.eval.intervals import NUM_RESAMPLES, Estimate, draw_actors, estimates_of
from blended.eval.protocol import Protocol, calibrated

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
    """Unweighted means over folds with 95 % intervals, actors resampled within folds."""
    mean_concordance: Estimate
    per_emotion: Mapping[str, tuple[Estimate, Estimate]]
    """Pearson's correlation and concordance of every emotion, likewise."""

    @property
    def measured(self) -> dict[str, Estimate]:
        """Every measure by its key."""
        return {"mean_pearson": self.mean_pearson, "mean_concordance": self.mean_concordance}


def evaluate_intensities(
    evidence: Evidence, truth: Float[ndarray, "clip emotion"], protocol: Protocol
) -> IntensityEvaluation:
    """Measures fold by fold; nothing is fitted.

    Raises InputError if truth and evidence are not of as many clips, or scores are to be calibrated:
    standardised values are no intensities.
    """
    if len(truth) != len(evidence.folds):
        raise InputError(f"got {len(truth)} labels for the scores of {len(evidence.folds)} clips")
    protocol = of_intensities(protocol)
    decided = np.array([soft.values for soft in intensities(calibrated(evidence, protocol))])
    folds = [
        _fold(int(fold), decided[evidence.folds == fold], truth[evidence.folds == fold])
        for fold in np.unique(evidence.folds)
    ]
    where = (evidence.actors, evidence.folds)
    point = _resample_emotions(truth, decided, *where, seed=None, num_resamples=1)
    drawn = _resample_emotions(truth, decided, *where, seed=protocol.seed, num_resamples=NUM_RESAMPLES)
    means = estimates_of(point.mean(axis=1), drawn.mean(axis=1))
    by_emotion = {
        name: estimates_of(point[:, column], drawn[:, column])
        for column, name in enumerate(evidence.space.emotions)
    }
    return IntensityEvaluation(
        protocol, decided, folds, means[0], means[1], {n: (one[0], one[1]) for n, one in by_emotion.items()}
    )


def of_intensities(protocol: Protocol) -> Protocol:
    """The protocol with the only decision there is here."""
    if protocol.calibrate != "none":
        raise InputError(
            f"calibrate is {protocol.calibrate!r}, but scores standardised per actor are no intensities: use "
            f"calibrate none; `standardise: actor` of a fusion standardises features instead"
        )
    return replace(protocol, decision=IDENTITY, probabilities="raw", presence_weight=0.5)


def intensity_resample(
    truth: Float[ndarray, "clip emotion"],
    decided: Float[ndarray, "clip emotion"],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    *,
    seed: int | None,
    num_resamples: int,
) -> Float[ndarray, "resample 2"]:
    """Mean Pearson and mean concordance of every resample, as `intervals.resample` has scores."""
    drawn = _resample_emotions(truth, decided, actors, folds, seed=seed, num_resamples=num_resamples)
    return drawn.mean(axis=1)


def _resample_emotions(
    truth: Float[ndarray, "clip emotion"],
    decided: Float[ndarray, "clip emotion"],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    *,
    seed: int | None,
    num_resamples: int,
) -> Float[ndarray, "resample emotion 2"]:
    """Pearson and concordance of every emotion, means over folds."""
    rng = None if seed is None else np.random.default_rng(seed)
    samples: list[Float[ndarray, "resample emotion 2"]] = []
    for fold in np.unique(folds):
        rows = folds == fold
        sums = _sums_per_actor(decided[rows], truth[rows], actors[rows])
        drawn = draw_actors(rng, len(sums), num_resamples)
        samples.append(_agreement(np.tensordot(drawn, sums, axes=1)))
    return np.mean(samples, axis=0)


def _sums_per_actor(
    p: Float[ndarray, "clip emotion"], t: Float[ndarray, "clip emotion"], actors: Int[ndarray, "clip"]
) -> Float[ndarray, "actor emotion 6"]:
    """Clips, and sums of p, t, p squared, t squared and p t, around a middle value, against rounding."""
    middle = p.mean(axis=0)
    p, t = p - middle, t - middle
    products = np.stack([np.ones_like(p), p, t, p * p, t * t, p * t], axis=-1)
    names, numbers = np.unique(actors, return_inverse=True)
    sums = np.zeros((len(names), *products.shape[1:]))
    np.add.at(sums, numbers, products)
    return sums


def _agreement(sums: Float[ndarray, "resample emotion 6"]) -> Float[ndarray, "resample emotion 2"]:
    """Pearson and concordance from sums; 0 where either does not vary."""
    count, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
    p, t = p / count, t / count
    var_p, var_t = np.maximum(pp / count - p * p, 0), np.maximum(tt / count - t * t, 0)
    covariance = pt / count - p * t
    varies = (var_p > TINY) & (var_t > TINY)
    scale = np.sqrt(var_p * var_t)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=varies).clip(-1, 1)
    spread = var_p + var_t + (p - t) ** 2
    return np.stack(
        [correlation, np.divide(2 * covariance, spread, out=np.zeros_like(scale), where=varies)], axis=-1
    )


def _fold(
    fold: int, decided: Float[ndarray, "clip emotion"], truth: Float[ndarray, "clip emotion"]
) -> IntensityFold:
    numbers = {
        "mean_pearson": float(pearson(decided, truth).mean()),
        "mean_concordance": float(concordance(decided, truth).mean()),
    }
    return IntensityFold(fold, len(truth), numbers, {})
