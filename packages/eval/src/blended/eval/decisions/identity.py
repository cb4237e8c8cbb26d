"""Intensities as they are: the decision where every emotion has a strength of its own."""

import numpy as np

from blended.data import InputError
from blended.data.labels import SoftLabel
from blended.eval.evidence import Evidence

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
