"""Single clips of a run: the ones that it reads best, and the ones that it reads worst."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError, LabelSpace, Mixture
from blended.eval.figures import target_shares
from blended.eval.run_record import RunRecord

CLIPS_SHOWN = 5
"""Of either kind."""


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What a run says about one clip."""

    clip_id: str
    actor: str
    true: Mixture
    decided: Mixture
    true_emotions: float
    """Probability given to the true emotions together, in [0, 1]."""
    overlap: float
    """Probability that lies where it belongs: the sum over emotions of min(probability, true share), in
    [0, 1]; 1 minus the total variation distance."""


def clip_results(
    record: RunRecord, probabilities: Float[ndarray, "clip emotion"], space: LabelSpace
) -> list[ClipResult]:
    """One per clip, in the order of the record; raises InputError for a wrong number of rows."""
    check_probabilities(record, probabilities, space)
    truth, decided = record.of_mixtures()
    targets = target_shares(truth, space)
    overlaps = np.minimum(probabilities, targets).sum(axis=1)
    masses = np.where(targets > 0, probabilities, 0.0).sum(axis=1)
    return [
        ClipResult(
            record.clip_ids[row],
            str(record.actors[row]),
            truth[row],
            decided[row],
            float(masses[row]),
            float(overlaps[row]),
        )
        for row in range(len(truth))
    ]


def worst_and_best(
    results: list[ClipResult], most: int = CLIPS_SHOWN
) -> tuple[list[ClipResult], list[ClipResult]]:
    """By overlap, then by name; from the worst up and from the best down, no clip in both."""
    ordered = sorted(results, key=lambda one: (round(one.overlap, 9), one.clip_id))
    most = min(most, len(ordered) // 2)
    best = sorted(ordered[len(ordered) - most :], key=lambda one: (-round(one.overlap, 9), one.clip_id))
    return ordered[:most], best


def check_probabilities(record: RunRecord, probabilities: ndarray, space: LabelSpace) -> None:
    """Raises InputError unless there is a row per clip and a column per emotion."""
    expected = (len(record.truth), len(space.emotions))
    if probabilities.shape != expected:
        raise InputError(
            f"run {record.name!r}: probabilities are of shape {probabilities.shape}, expected {expected}: a "
            f"row per clip and a column per emotion"
        )
