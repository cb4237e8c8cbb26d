"""Decisions that fit nothing to scores.

The most probable emotion; the nearest label state; the state that is worth most if the model's own
probabilities of states are right; and the trivial baselines, one answer for every clip.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blended.data import InputError, Mixture
from blended.eval.calibration import softmax
from blended.eval.decisions.decider import FitOptions, maximise_expected_score, row_products
from blended.eval.evidence import SMALLEST_PROBABILITY, Evidence


@dataclass(frozen=True, slots=True)
class Argmax:
    """Chooses the emotion with the largest mean probability; of equal ones the first of the space."""

    @property
    def parameters(self) -> dict[str, float]:
        """Nothing is fitted."""
        return {}

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """One emotion per clip."""
        best = evidence.mean_probabilities().argmax(axis=1)
        return [Mixture.single(evidence.space.emotions[column]) for column in best]


def fit_argmax(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Argmax:
    """Ignores its arguments: there is nothing to fit."""
    del evidence, truth, options
    return Argmax()


@dataclass(frozen=True, slots=True)
class Templates:
    """Chooses the state whose distribution q is nearest to the mean probabilities p in KL(q || p).

    The direction is that of the training loss, so a model that fits a state's target exactly is decided
    for that state.
    """

    @property
    def parameters(self) -> dict[str, float]:
        """Nothing is fitted."""
        return {}

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """One state of the label space per clip."""
        states = evidence.space.states
        targets = np.array([evidence.space.target(state) for state in states])
        negative_entropy = (targets * np.log(np.where(targets > 0, targets, 1))).sum(axis=1)
        log_p = np.log(np.maximum(evidence.mean_probabilities(), SMALLEST_PROBABILITY))
        divergence = negative_entropy - row_products(log_p, targets.T)
        return [states[number] for number in divergence.argmin(axis=1)]


def fit_templates(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Templates:
    """Ignores its arguments: there is nothing to fit."""
    del evidence, truth, options
    return Templates()


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


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same mixture."""

    mixture: Mixture

    @property
    def parameters(self) -> dict[str, float]:
        """The constant answer is a name, not a number."""
        return {}

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """The mixture, once per clip."""
        return [self.mixture] * len(evidence.logits)


def fit_most_frequent_single(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Constant:
    """The most frequent single emotion of the clips fitted on."""
    del evidence, options
    return Constant(_most_frequent(truth, blend=False))


def fit_most_frequent_blend(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Constant:
    """The most frequent blend, shares included, of the clips fitted on."""
    del evidence, options
    return Constant(_most_frequent(truth, blend=True))


def _most_frequent(truth: Sequence[Mixture], *, blend: bool) -> Mixture:
    """Ties go to the first name, so that the result does not depend on the order of clips."""
    counts = Counter(mixture for mixture in truth if mixture.is_blend == blend)
    if not counts:
        raise InputError(
            f"no {'blend' if blend else 'single emotion'} among the {len(truth)} clips fitted on"
        )
    return min(counts, key=lambda mixture: (-counts[mixture], mixture.name))
