"""Calibration: every model's probabilities mapped so that they mean what they say.

A map is fitted on clips with labels and applied to others, per model and before models are fused or
anything is decided. `temperature` and `vector` are from Guo et al. 2017 (ICML), with shares as soft targets;
`isotonic` is Zadrozny and Elkan 2002 (KDD), one regression per emotion, then divided by the sum. The mean
of several calibrated models is less sure than each of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.data.errors import unknown_name
from blended.eval.evidence import SMALLEST_PROBABILITY, Evidence
from blended.eval.measures.agreement import classwise_error, confidence

# Keeps separable clips from an infinite scale; far below the loss of a thousand clips.
RIDGE = 1e-4

# Log-temperatures outside say that a model knows nothing, or everything.
LOG_BOUNDS = (-3.0, 3.0)

Logits = Float[ndarray, "clip emotion"]


@runtime_checkable
class ModelMap(Protocol):
    """A fitted map of one model's logits."""

    def logits(self, given: Logits) -> Logits:
        """Log-probabilities up to a constant per clip."""
        ...


FitModel = Callable[[Logits, Float[ndarray, "clip emotion"]], ModelMap]
"""(logits, targets) of one model -> its map."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Fitted maps, one per model; none leaves the evidence as it is."""

    maps: tuple[ModelMap, ...] = ()

    def __call__(self, evidence: Evidence) -> Evidence:
        """The evidence with every model's probabilities mapped."""
        if not self.maps:
            return evidence
        mapped = [one.logits(evidence.logits[:, model]) for model, one in enumerate(self.maps)]
        return replace(evidence, logits=np.stack(mapped, axis=1), given_probabilities=None)


@dataclass(frozen=True, slots=True)
class ReliabilityChange:
    """Expected calibration errors, in [0, 1], before and after a map; targets are shares."""

    classwise_before: float
    """Mean over emotions."""
    classwise_after: float
    confidence_before: float
    """Of the most probable emotion."""
    confidence_after: float


def fit_calibration(name: str, evidence: Evidence, truth: Sequence[Mixture]) -> Calibration:
    """Fits the calibration called `name` on the given clips; `raw` changes nothing.

    Raises InputError for an unknown name or no clips.
    """
    if name not in CALIBRATIONS:
        raise unknown_name("calibration", name, CALIBRATIONS)
    fit = CALIBRATIONS[name]
    if fit is None:
        return Calibration()
    if not truth:
        raise InputError(f"calibration {name!r} needs clips to be fitted on, got none")
    targets = np.array([evidence.space.target(mixture) for mixture in truth])
    return Calibration(
        tuple(fit(evidence.logits[:, model], targets) for model in range(evidence.logits.shape[1]))
    )


def cross_fitted(name: str, evidence: Evidence, truth: Sequence[Mixture]) -> Evidence:
    """Every fold mapped by what was fitted on the other folds; raises InputError for one fold only."""
    folds = np.unique(evidence.folds)
    if len(folds) < 2 and name != "raw":
        raise InputError(f"calibration {name!r} is fitted on other folds: got only {folds.tolist()}")
    if name == "raw":
        return evidence
    logits = np.empty_like(evidence.logits)
    for fold in folds:
        held = evidence.folds == fold
        fit_truth = [mixture for mixture, out in zip(truth, held, strict=True) if not out]
        calibration = fit_calibration(name, evidence.take(~held), fit_truth)
        logits[held] = calibration(evidence.take(held)).logits
    return replace(evidence, logits=logits, given_probabilities=None)


def reliability_change(name: str, evidence: Evidence, truth: Sequence[Mixture]) -> ReliabilityChange:
    """Of the models' mean probabilities, all folds pooled, each mapped by what other folds teach."""
    targets = np.array([evidence.space.target(mixture) for mixture in truth])
    before = evidence.mean_probabilities()
    after = cross_fitted(name, evidence, truth).mean_probabilities()
    classwise = [classwise_error(one, targets) for one in (before, after)]
    return ReliabilityChange(*classwise, *(confidence(one, targets).error for one in (before, after)))


def heated(
    probabilities: Float[ndarray, "clip emotion"], temperature: float
) -> Float[ndarray, "clip emotion"]:
    """softmax(log p / temperature): above 1 less sure than given, below 1 surer.

    >>> heated(np.array([[0.9, 0.1]]), 2.0)
    array([[0.75, 0.25]])
    """
    logits = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(
    probabilities: Float[ndarray, "clip emotion"], targets: Float[ndarray, "clip emotion"]
) -> float:
    """The temperature, in exp(-3) to exp(3), with the smallest mean cross-entropy to the targets."""
    from scipy.optimize import minimize_scalar  # half a second that applying a temperature does not need

    def loss(log_temperature: float) -> float:
        log_p = np.log(heated(probabilities, float(np.exp(log_temperature))) + SMALLEST_PROBABILITY)
        return float(-(targets * log_p).sum(axis=1).mean())

    found: Any = minimize_scalar(loss, bounds=LOG_BOUNDS, method="bounded")
    return float(np.exp(found.x))


def softmax(logits: Logits) -> Logits:
    """Rows that add up to 1.

    >>> softmax(np.log(np.array([[3.0, 1.0]])))
    array([[0.75, 0.25]])
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@dataclass(frozen=True, slots=True, eq=False)
class ScaleAndShift:
    """Logits times a number, plus a number, each per emotion."""

    scale: Float[ndarray, "emotion"]
    shift: Float[ndarray, "emotion"]

    def logits(self, given: Logits) -> Logits:
        """The line of every emotion."""
        return given * self.scale + self.shift


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A piecewise linear function of the probability per emotion, then division by the sum."""

    corners: tuple[tuple[ndarray, ndarray], ...]
    """Per emotion, probabilities in ascending order and what becomes of them; constant outside."""

    def logits(self, given: Logits) -> Logits:
        """Logarithms of the new probabilities."""
        p = softmax(given)
        found = np.stack([np.interp(p[:, k], x, y) for k, (x, y) in enumerate(self.corners)], axis=1)
        return np.log(found / found.sum(axis=1, keepdims=True))


def _fit_temperature(logits: Logits, targets: Float[ndarray, "clip emotion"]) -> ScaleAndShift:
    """One number divides all logits."""
    num_emotions = logits.shape[1]
    temperature = fit_temperature(softmax(logits), targets)
    return ScaleAndShift(np.full(num_emotions, 1 / temperature), np.zeros(num_emotions))


def _fit_vector(logits: Logits, targets: Float[ndarray, "clip emotion"]) -> ScaleAndShift:
    """A scale and a shift per emotion, with the smallest mean cross-entropy; convex."""
    from scipy.optimize import minimize  # half a second that nobody else needs to wait for

    num_emotions = logits.shape[1]
    start = np.concatenate([np.ones(num_emotions), np.zeros(num_emotions)])

    def loss(flat: ndarray) -> tuple[float, ndarray]:
        scaled = logits * flat[:num_emotions] + flat[num_emotions:]
        shifted = scaled - scaled.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        off = np.exp(log_p) - targets
        slope = np.concatenate([(off * logits).mean(axis=0), off.mean(axis=0)])
        away = flat - start
        return float(-(targets * log_p).sum(axis=1).mean() + RIDGE * away @ away), slope + 2 * RIDGE * away

    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B")
    return ScaleAndShift(found.x[:num_emotions], found.x[num_emotions:])


def _fit_isotonic(logits: Logits, targets: Float[ndarray, "clip emotion"]) -> Steps:
    """A monotonous step function per emotion, kept off 0 and 1 by what so many clips cannot exclude."""
    from sklearn.isotonic import IsotonicRegression  # seconds that nobody else needs to wait for

    least = 1 / (len(logits) + 2)
    columns: list[Any] = [
        IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(p, t)
        for p, t in zip(softmax(logits).T, targets.T, strict=True)
    ]
    return Steps(tuple((one.X_thresholds_, one.y_thresholds_) for one in columns))


CALIBRATIONS: dict[str, FitModel | None] = {
    "raw": None,
    "temperature": _fit_temperature,
    "vector": _fit_vector,
    "isotonic": _fit_isotonic,
}
"""None leaves everything as it is."""
