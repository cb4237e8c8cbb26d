"""Decoding a posterior over label states so that the expected challenge score is largest.

The decision `expected-score` does so with the model's own probabilities of label states: nothing to tune.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError, LabelSpace, Mixture
from blended.eval.calibration import softmax
from blended.eval.decisions.decider import FitOptions, row_products
from blended.eval.evidence import Evidence


def state_numbers(truth: Sequence[Mixture], space: LabelSpace) -> Int[ndarray, "clip"]:
    """[clip]: the position of every mixture among the states of the space.

    Raises InputError for a mixture that is none of them.
    """
    position = {state.shares: number for number, state in enumerate(space.states)}
    numbers = np.array([position.get(mixture.shares, -1) for mixture in truth], dtype=np.int64)
    if (numbers < 0).any():
        raise InputError(
            f"{truth[int(numbers.argmin())].name} is none of the {len(position)} label states of the corpus: "
            f"a learned decision needs truth among them; use --decision thresholds for other shares"
        )
    return numbers


@cache
def set_of_state(space: LabelSpace) -> Int[ndarray, "state"]:
    """[state]: the position of its set of emotions among the sets of the space."""
    position = {emotions: number for number, emotions in enumerate(space.emotion_sets)}
    sets = np.array([position[state.emotions] for state in space.states], dtype=np.int64)
    sets.flags.writeable = False
    return sets


def maximise_expected_score(
    posterior: Float[ndarray, "clip state"],
    space: LabelSpace,
    *,
    blend_share: float,
    presence_weight: float = 0.5,
) -> list[Mixture]:
    """The state that is worth most per clip.

    Naming state s is worth w P(set of s) for presence, a mean over all clips, plus (1 - w) P(s) / b
    for salience if s is a blend, a mean over the share b of clips that are blends. This is the expected
    challenge score, times the number of clips, for presence weight w = 0.5.
    """
    sets = set_of_state(space)
    presence = row_products(posterior, (sets[:, None] == sets).astype(float))
    is_blend = np.array([state.is_blend for state in space.states], dtype=float)
    salience = posterior * is_blend / max(blend_share, 1e-9)
    gain = presence_weight * presence + (1 - presence_weight) * salience
    return [space.states[number] for number in gain.argmax(axis=1)]


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
