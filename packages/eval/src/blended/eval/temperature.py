"""Probabilities that mean what they say: one temperature, fitted on clips that no model trained on.

Guo et al. 2017, "On Calibration of Modern Neural Networks", ICML, with soft labels as targets.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.eval.evidence import SMALLEST_PROBABILITY

# Log-temperatures outside say that a model knows nothing, or everything.
LOG_BOUNDS = (-3.0, 3.0)


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
