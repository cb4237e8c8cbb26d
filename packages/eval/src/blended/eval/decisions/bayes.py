"""A regularised multinomial model over the label states, decoded for the expected challenge score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import Mixture
from blended.eval.decisions.expected_score import maximise_expected_score, state_numbers
from blended.eval.decisions.inner import choose
from blended.eval.decisions.multinomial import INVERSE_PENALTIES, Multinomial, fit_multinomial
from blended.eval.evidence import Evidence


def inputs(evidence: Evidence) -> Float[ndarray, "clip feature"]:
    """All scores of all models side by side."""
    return evidence.logits.reshape(len(evidence.logits), -1)


@dataclass(frozen=True, slots=True, eq=False)
class Bayes:
    """Posterior over states, then the state worth most."""

    model: Multinomial
    inverse_penalty: float
    blend_share: float
    """Share of blends among the clips fitted on, in [0, 1]."""

    @property
    def parameters(self) -> dict[str, float]:
        """The chosen inverse penalty."""
        return {"inverse_penalty": self.inverse_penalty}

    def posterior(self, evidence: Evidence) -> Float[ndarray, "clip state"]:
        """P(state | scores); a state that was never seen has probability 0."""
        return self.model.posterior(inputs(evidence), len(evidence.space.states))

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """The state with the largest expected challenge score."""
        return maximise_expected_score(self.posterior(evidence), evidence.space, blend_share=self.blend_share)


def fit_once(inverse_penalty: float, evidence: Evidence, truth: Sequence[Mixture]) -> Bayes:
    """Fits with a given penalty."""
    model = fit_multinomial(
        inputs(evidence), state_numbers(truth, evidence.space), inverse_penalty=inverse_penalty
    )
    return Bayes(model, inverse_penalty, float(np.mean([mixture.is_blend for mixture in truth])))


def fit_bayes(evidence: Evidence, truth: Sequence[Mixture], seed: int) -> Bayes:
    """Fits with the penalty that inner cross-validation prefers; the seed changes nothing."""
    del seed
    best, _ = choose(
        INVERSE_PENALTIES,
        lambda knob, fit, fit_truth, held: fit_once(knob, fit, fit_truth).decide(held),
        evidence,
        truth,
    )
    return fit_once(best, evidence, truth)
