"""A regularised multinomial model over the label states, decoded for the expected challenge score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import Mixture
from blended.eval.decisions.decider import Decide, FitOptions, choose, maximise_expected_score, state_numbers
from blended.eval.decisions.multinomial import INVERSE_PENALTIES, Multinomial, multinomials_of
from blended.eval.evidence import Evidence


@dataclass(frozen=True, slots=True, eq=False)
class Bayes:
    """Posterior over states, then the state worth most."""

    model: Multinomial
    inverse_penalty: float
    blend_share: float
    """Share of blends among the clips fitted on, in [0, 1]."""
    presence_weight: float = 0.5
    """Of the score that is maximised, in [0, 1]."""

    @property
    def parameters(self) -> dict[str, float]:
        """The chosen inverse penalty."""
        return {"inverse_penalty": self.inverse_penalty}

    def posterior(self, evidence: Evidence) -> Float[ndarray, "clip state"]:
        """P(state | scores); a state that was never seen has probability 0."""
        return self.model.posterior(evidence.inputs(), len(evidence.space.states))

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """The state with the largest expected challenge score."""
        return maximise_expected_score(
            self.posterior(evidence),
            evidence.space,
            blend_share=self.blend_share,
            presence_weight=self.presence_weight,
        )


def bayes_of(
    evidence: Evidence, truth: Sequence[Mixture], presence_weight: float = 0.5
) -> Callable[[float], Bayes]:
    """Inverse penalty -> the model fitted with it; what all of them share is computed once."""
    model_of = multinomials_of(evidence.inputs(), state_numbers(truth, evidence.space))
    blend_share = float(np.mean([mixture.is_blend for mixture in truth]))
    return lambda inverse_penalty: Bayes(
        model_of(inverse_penalty), inverse_penalty, blend_share, presence_weight
    )


def fit_once(
    inverse_penalty: float, evidence: Evidence, truth: Sequence[Mixture], presence_weight: float = 0.5
) -> Bayes:
    """Fits with a given penalty."""
    return bayes_of(evidence, truth, presence_weight)(inverse_penalty)


def fit_bayes(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Bayes:
    """Fits with the penalty that inner cross-validation prefers; the seed changes nothing."""

    def deciding(evidence: Evidence, truth: Sequence[Mixture]) -> Decide:
        fit = bayes_of(evidence, truth, options.presence_weight)
        return lambda inverse_penalty, held: fit(inverse_penalty).decide(held)

    weight = options.presence_weight
    best, _ = choose(INVERSE_PENALTIES, deciding, evidence, truth, presence_weight=weight)
    return fit_once(best, evidence, truth, weight)
