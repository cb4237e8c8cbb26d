"""What a fitted decision is; and what stands in place of one for intensities, which are taken as they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from blended.data import InputError, Mixture
from blended.data.labels import SoftLabel
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


IDENTITY = "identity"
"""What this decision is called where one must be named."""


def intensities(evidence: Evidence) -> list[SoftLabel]:
    """The mean of the models' scores per emotion, cut to [0, 1]; nothing is fitted.

    Scores are intensities here, read as they are (`--scores logits`), and never made to add up to 1. It is
    not among `DECISIONS`, whose entries answer with mixtures. Raises InputError for another task.
    """
    space = evidence.space
    if space.task != "intensities":
        raise InputError(f"the task is {space.task!r}, expected 'intensities': use another decision")
    values = np.clip(evidence.logits.mean(axis=1), 0.0, 1.0)
    return [SoftLabel(space.emotions, tuple(row), "intensities") for row in values.tolist()]
