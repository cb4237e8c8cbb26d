"""Per-actor calibration of scores: label-free, transductive, and called so wherever it is shown."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from blended.eval.evidence import Evidence

# A standard deviation below this share of the values' size is rounding, and would be blown up to 1.
ROUNDING = 1e-9


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
        values = evidence.logits[rows]
        spread = values.std(axis=0)
        varies = spread > ROUNDING * np.abs(values).max(axis=0)
        logits[rows] = np.where(varies, values - values.mean(axis=0), 0.0) / np.where(varies, spread, 1.0)
    return replace(evidence, logits=logits, given_probabilities=None)


CALIBRATIONS: dict[str, Callable[[Evidence], Evidence]] = {"none": none, "actor": standardise_per_actor}
TRANSDUCTIVE = frozenset({"actor"})
