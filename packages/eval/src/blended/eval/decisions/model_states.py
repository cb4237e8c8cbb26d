"""The model's own probabilities of label states, decoded for the expected score: nothing to tune."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blended.data import InputError, Mixture
from blended.eval.calibration import softmax
from blended.eval.decisions.decider import FitOptions
from blended.eval.decisions.expected_score import maximise_expected_score
from blended.eval.evidence import Evidence


@dataclass(frozen=True, slots=True)
class ModelStates:
    """Names the state that is worth most if the model's probabilities of states are right."""

    blend_share: float
    """Share of blends among the clips fitted on, in [0, 1]: what salience accuracy is averaged over."""
    presence_weight: float = 0.5
    """Of the score that is maximised, in [0, 1]."""

    @property
    def parameters(self) -> dict[str, float]:
        """The share of blends is counted, not chosen."""
        return {}

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """Raises InputError for a model without probabilities of states."""
        if evidence.states is None:
            raise InputError(
                "the decision 'expected-score' decodes probabilities of label states, and this model has "
                "probabilities of emotions only: use set-ratio or bayes, or a model that scores states"
            )
        return maximise_expected_score(
            softmax(evidence.states),
            evidence.space,
            blend_share=self.blend_share,
            presence_weight=self.presence_weight,
        )


def fit_model_states(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> ModelStates:
    """Counts blends; nothing is fitted."""
    del evidence
    return ModelStates(float(np.mean([mixture.is_blend for mixture in truth])), options.presence_weight)
