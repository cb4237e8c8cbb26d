"""What a fitted decision is."""

from collections.abc import Callable, Mapping, Sequence
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


Fit = Callable[[Evidence, Sequence[Mixture], int], Decider]
"""(evidence, truth, seed) of the clips to fit on -> Decider."""
