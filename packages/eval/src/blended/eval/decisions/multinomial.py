"""The ridge-penalised multinomial model that the learned decisions share."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

# Inverse strengths of the ridge penalty, from the most regularised.
INVERSE_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# What lies outside these percentiles of an input is brought back to them: a line through logits says more and
# more about clips of which fewer and fewer were seen, and near certainty it once said nonsense.
PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True, eq=False)
class Multinomial:
    """P(class | inputs)."""

    classes: Int[ndarray, "class"]
    """The classes that were seen, ascending."""
    model: Pipeline | None
    """None where one class only was seen: it is then certain."""
    low: Float[ndarray, "feature"]
    """Inputs below are taken for it; so for those above `high`."""
    high: Float[ndarray, "feature"]

    def posterior(
        self, inputs: Float[ndarray, "clip feature"], num_classes: int
    ) -> Float[ndarray, "clip {num_classes}"]:
        """P(class | inputs) for classes 0 to num_classes - 1; a class that was never seen has 0."""
        full = np.zeros((len(inputs), num_classes))
        bounded = np.clip(inputs, self.low, self.high)
        full[:, self.classes] = 1.0 if self.model is None else self.model.predict_proba(bounded)
        return full


def fit_multinomial(
    inputs: Float[ndarray, "clip feature"], targets: Int[ndarray, "clip"], *, inverse_penalty: float
) -> Multinomial:
    """Fits on inputs bounded by and standardised over the clips given; needs at least one clip."""
    classes = np.unique(targets)
    low, high = np.percentile(inputs, PERCENTILES, axis=0)
    if len(classes) == 1:
        return Multinomial(classes, None, low, high)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=500))
    # The matrices are tiny: several BLAS threads wait for each other far longer than they compute.
    with _libraries().limit(limits=1, user_api="blas"):
        model.fit(np.clip(inputs, low, high), targets)
    return Multinomial(classes, model, low, high)


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process; looking for them takes longer than a fit."""
    return ThreadpoolController()
