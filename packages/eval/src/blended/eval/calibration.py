"""Per-actor calibration of scores: label-free, transductive, and called so wherever it is shown."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from blended.eval.evidence import Evidence


def none(evidence: Evidence) -> Evidence:
    """The evidence as it is: a clip is judged without looking at other clips of its actor."""
    return evidence


def standardise_per_actor(evidence: Evidence) -> Evidence:
    """Standardises every score over the clips of its actor: zero mean, unit standard deviation.

    Transductive: it uses all the unlabelled clips of a person, so it answers for people of whom several
    clips exist. A score that does not vary over an actor's clips (one clip, say) becomes 0.
    """
    logits = np.empty_like(evidence.logits)
    for actor in np.unique(evidence.actors):
        rows = evidence.actors == actor
        centred = evidence.logits[rows] - evidence.logits[rows].mean(axis=0)
        spread = centred.std(axis=0)
        logits[rows] = centred / np.where(spread > 0, spread, 1.0)
    return replace(evidence, logits=logits)


CALIBRATIONS: dict[str, Callable[[Evidence], Evidence]] = {"none": none, "actor": standardise_per_actor}
TRANSDUCTIVE = frozenset({"actor"})
