"""The most probable emotion alone: the decision for single labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from blended.data import Mixture
from blended.eval.decisions.decider import FitOptions
from blended.eval.evidence import Evidence


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
