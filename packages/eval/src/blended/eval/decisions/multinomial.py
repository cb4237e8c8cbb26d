"""The ridge-penalised multinomial model that the learned decisions share.

The optimum is that of scikit-learn's `LogisticRegression`, found on the same path (L-BFGS-B from zero, to
the same tolerance): coefficients agree to 1e-9. That library is not used, because importing it takes longer
than all the fits of an evaluation. A model is plain arrays, and what it says of a clip is a sum of products
in a fixed order: the same bits whatever the memory order, the BLAS library's kernel or the number of threads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from threadpoolctl import ThreadpoolController

from blended.eval.decisions.decider import row_products

# Inverse strengths of the ridge penalty, from the most regularised.
INVERSE_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# What lies outside these percentiles of an input is brought back to them: a line through logits says more and
# more about clips of which fewer and fewer were seen, and near certainty it once said nonsense.
PERCENTILES = (0.5, 99.5)

# Of scikit-learn: a largest component of the gradient, line searches, a smallest decrease.
STEPS: dict[str, float] = {"maxiter": 500, "maxls": 50, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps}


@dataclass(frozen=True, slots=True, eq=False)
class Multinomial:
    """P(class | inputs) = softmax(standardised inputs times weights, plus offsets)."""

    classes: Int[ndarray, "class"]
    """The classes that were seen, ascending; a single one is certain."""
    low: Float[ndarray, "feature"]
    """Inputs below are taken for it; so for those above `high`."""
    high: Float[ndarray, "feature"]
    mean: Float[ndarray, "feature"]
    """Of the bounded inputs, and their standard deviation; 1 where they do not vary."""
    scale: Float[ndarray, "feature"]
    weights: Float[ndarray, "feature class"]
    """Of two classes the first's are 0, as its offset."""
    offsets: Float[ndarray, "class"]

    def posterior(
        self, inputs: Float[ndarray, "clip feature"], num_classes: int
    ) -> Float[ndarray, "clip {num_classes}"]:
        """P(class | inputs) for classes 0 to num_classes - 1; a class that was never seen has 0."""
        standardised = (np.clip(inputs, self.low, self.high) - self.mean) / self.scale
        logits = row_products(standardised, self.weights) + self.offsets
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        full = np.zeros((len(inputs), num_classes))
        full[:, self.classes] = powers / powers.sum(axis=1, keepdims=True)
        return full


def fit_multinomial(
    inputs: Float[ndarray, "clip feature"], targets: Int[ndarray, "clip"], *, inverse_penalty: float
) -> Multinomial:
    """Fits on inputs bounded by and standardised over the clips given; needs at least one clip."""
    return multinomials_of(inputs, targets)(inverse_penalty)


def multinomials_of(
    inputs: Float[ndarray, "clip feature"], targets: Int[ndarray, "clip"]
) -> Callable[[float], Multinomial]:
    """Inverse penalty -> `fit_multinomial`; what all of them share is computed once."""
    classes, numbers = np.unique(targets, return_inverse=True)
    low, high = np.percentile(inputs, PERCENTILES, axis=0)
    bounded = np.clip(np.ascontiguousarray(inputs), low, high)
    mean, scale = bounded.mean(axis=0), _spread(bounded)
    standardised = (bounded - mean) / scale

    def fit(inverse_penalty: float) -> Multinomial:
        weights = np.zeros((inputs.shape[1] + 1, len(classes)))
        if len(classes) > 1:
            # The matrices are tiny: several BLAS threads wait for each other far longer than they compute.
            with _libraries().limit(limits=1, user_api="blas"):
                weights = _optimum(standardised, numbers, len(classes), inverse_penalty)
        return Multinomial(classes, low, high, mean, scale, weights[:-1].copy(), weights[-1].copy())

    return fit


def _spread(values: Float[ndarray, "clip feature"]) -> Float[ndarray, "feature"]:
    """Standard deviations; 1 for a feature that varies by rounding only."""
    variance, tiny = values.var(axis=0), len(values) * np.finfo(np.float64).eps
    constant = variance <= tiny * variance + (tiny * values.mean(axis=0)) ** 2
    return np.where(constant, 1.0, np.sqrt(variance))


def _optimum(
    x_NF: Float[ndarray, "clip feature"],
    numbers: Int[ndarray, "clip"],
    num_classes: int,
    inverse_penalty: float,
) -> Float[ndarray, "feature+1 class"]:
    """Weights, and in the last row offsets, with the smallest mean cross-entropy plus penalty of weights.

    N clips, F features, K classes. Of two classes the first is held at zero; of more the penalty makes the
    rows add up to zero.
    """
    from scipy.optimize import minimize  # a quarter of a second that applying a model does not need

    num_clips, num_features = x_NF.shape
    first = 1 if num_classes == 2 else 0
    x_GN = np.concatenate([x_NF, np.ones((num_clips, 1))], axis=1).T.copy()
    rows, right_KN = np.arange(num_clips), np.zeros((num_classes, num_clips))
    right_KN[numbers, rows] = 1
    ridge_G1 = np.full((num_features + 1, 1), 1 / (inverse_penalty * num_clips))
    ridge_G1[-1] = 0
    w_GK = np.zeros((num_features + 1, num_classes))

    def loss(free: ndarray) -> tuple[float, ndarray]:
        w_GK[:, first:] = free.reshape(num_features + 1, -1)
        p_KN = w_GK.T @ x_GN
        p_KN -= p_KN.max(axis=0)
        of_right = p_KN[numbers, rows]
        np.exp(p_KN, out=p_KN)
        total_N = p_KN.sum(axis=0)
        p_KN /= total_N
        shrink_GK = ridge_G1 * w_GK
        p_KN -= right_KN
        slope_GK = x_GN @ p_KN.T / num_clips + shrink_GK
        value = (np.log(total_N) - of_right).sum() / num_clips + (shrink_GK * w_GK).sum() / 2
        return float(value), slope_GK[:, first:].ravel()

    found: Any = minimize(loss, w_GK[:, first:].ravel(), jac=True, method="L-BFGS-B", options=STEPS)
    w_GK[:, first:] = found.x.reshape(num_features + 1, -1)
    return w_GK


def of_estimators(
    classes: ndarray, model: Mapping[str, Any] | None, low: ndarray, high: ndarray
) -> Multinomial:
    """The model in a decision that was stored before 2026-11-27: attributes of scikit-learn's estimators."""
    num_features, num_classes = len(low), len(classes)
    if model is None:
        ones, zeros = np.ones(num_features), np.zeros(num_features)
        return Multinomial(classes, low, high, zeros, ones, np.zeros((num_features, 1)), np.zeros(1))
    scaler, regression = (estimator for _, estimator in model["steps"])
    weights, offsets = np.zeros((num_features, num_classes)), np.zeros(num_classes)
    rows = len(regression["intercept_"])  # one for two classes
    weights[:, -rows:], offsets[-rows:] = regression["coef_"].T, regression["intercept_"]
    return Multinomial(classes, low, high, scaler["mean_"], scaler["scale_"], weights, offsets)


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process; looking for them takes longer than a fit."""
    return ThreadpoolController()
