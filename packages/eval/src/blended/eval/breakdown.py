"""What is measured beside the headline: where decisions are right, what probabilities are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.eval.detail import (
    EmotionScores,
    GroupScores,
    by_group,
    macro_presence,
    per_emotion,
    per_pair,
    per_share,
    salience_given_presence,
)
from blended.eval.measures.agreement import earth_movers_distance, mean_pearson
from blended.eval.measures.blends import correctness
from blended.eval.reliability import classwise_error, confidence


@dataclass(frozen=True, slots=True)
class Overall:
    """Single numbers over all clips pooled."""

    macro_presence: float
    """Mean presence accuracy over sets of emotions, in [0, 1]."""
    salience_given_presence: float | None
    """Share of the blends found that have the right shares, in [0, 1]; None where no blend was found."""
    share_pearson: float
    """Pearson's correlation of probabilities and true shares, mean over emotions, in [-1, 1]."""
    share_distance: float
    """Earth mover's distance from probabilities to true shares, mean over clips, in [0, 1]."""
    decided_distance: float
    """The same from decided shares."""
    calibration_error: float
    """Expected calibration error of the probabilities against true shares, mean over emotions, in [0, 1]."""
    confidence_error: float
    """The same of the most probable emotion alone."""


OVERALL_WORDS = {
    "macro_presence": "macro presence",
    "salience_given_presence": "salience given presence",
    "share_pearson": "Pearson, shares",
    "share_distance": "EMD, probabilities to shares",
    "decided_distance": "EMD, decisions to shares",
    "calibration_error": "calibration error, emotions",
    "confidence_error": "calibration error, most probable",
}
"""Field of `Overall` -> what it is called where people read it."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One run, taken apart."""

    overall: Overall
    emotions: Mapping[str, EmotionScores]
    """In the order of the label space."""
    pairs: Mapping[str, GroupScores]
    """Blends by their emotions."""
    shares: Mapping[str, GroupScores]
    """Blends by larger and smaller share."""
    groups: Mapping[str, Mapping[str, GroupScores]] = field(
        default_factory=dict[str, Mapping[str, GroupScores]]
    )
    """Name of a grouping, such as `level` -> its groups."""


def breakdown(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    probabilities: Float[ndarray, "clip emotion"],
    space: LabelSpace,
    groupings: Mapping[str, Sequence[str]] | None = None,
) -> Breakdown:
    """Takes decisions and the probabilities behind them apart; `groupings` name a group per clip.

    Raises InputError for no clips, or sequences of different lengths.
    """
    compared = correctness(truth, decided)
    targets, chosen = (np.array([space.target(one) for one in some]) for some in (truth, decided))
    overall = Overall(
        macro_presence=macro_presence(truth, decided),
        salience_given_presence=salience_given_presence(compared),
        share_pearson=mean_pearson(probabilities, targets),
        share_distance=earth_movers_distance(probabilities, targets),
        decided_distance=earth_movers_distance(chosen, targets),
        calibration_error=classwise_error(probabilities, targets),
        confidence_error=confidence(probabilities, targets).error,
    )
    return Breakdown(
        overall,
        per_emotion(truth, decided, space.emotions),
        per_pair(truth, decided),
        per_share(truth, decided),
        {name: by_group(compared, groups) for name, groups in (groupings or {}).items()},
    )
