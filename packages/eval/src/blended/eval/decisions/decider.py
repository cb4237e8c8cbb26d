"""What a fitted decision is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from blended.data import Mixture
from blended.eval.evidence import Evidence


@runtime_checkable
class Decider(Protocol):
    """A fitted decision."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """What was fitted or chosen and is worth reporting, such as alpha and beta."""
        ...

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """One mixture per clip, in the order of the clips."""
        ...


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What a user may ask of a decision; most ignore most of it."""

    seed: int = 0
    presence_weight: float = 0.5
    """Weight of presence accuracy in the score that is maximised, in [0, 1]; the rest is salience's."""


Fit = Callable[[Evidence, Sequence[Mixture], FitOptions], Decider]
"""(evidence, truth, options) of the clips to fit on -> Decider."""
