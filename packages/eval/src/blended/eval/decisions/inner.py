"""Choosing a knob by cross-validation inside the clips that a decision is fitted on."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy import ndarray

from blended.data import Mixture
from blended.eval.evidence import Evidence
from blended.eval.measures.blends import correctness

MIN_FOLDS = 3

Decide = Callable[[float, Evidence], list[Mixture]]
"""(knob, clips) -> what is decided of them."""


def inner_splits(evidence: Evidence) -> Iterator[tuple[ndarray, ndarray]]:
    """(fit, hold) row numbers: one published fold held at a time, or groups of actors if too few folds.

    Both keep all clips of an actor on one side; a lone actor leaves nothing to hold.
    """
    rows = np.arange(len(evidence.folds))
    folds = np.unique(evidence.folds)
    if len(folds) >= MIN_FOLDS:
        for fold in folds:
            held = evidence.folds == fold
            yield rows[~held], rows[held]
    elif (num_groups := min(MIN_FOLDS, len(np.unique(evidence.actors)))) > 1:
        from sklearn.model_selection import GroupKFold  # seconds that most corpora need not wait for

        yield from GroupKFold(num_groups).split(rows, groups=evidence.actors)


def choose(
    knobs: Sequence[float],
    deciding: Callable[[Evidence, Sequence[Mixture]], Decide],
    evidence: Evidence,
    truth: Sequence[Mixture],
    *,
    presence_weight: float = 0.5,
) -> tuple[float, list[float]]:
    """The knob with the best mean score over held parts, and every knob's score.

    The score is the challenge's for a `presence_weight` of 0.5, in general presence and salience accuracy
    weighted by it and the rest.

    `deciding(evidence, truth)` prepares once what all knobs are fitted on; what it returns is called with a
    knob and the held evidence, and fits and decides. The first best wins, so list knobs from the most
    regularised; so does the first where nothing can be held.
    """
    totals = np.zeros(len(knobs))
    for fit, hold in inner_splits(evidence):
        fit_truth, held_truth = [truth[row] for row in fit], [truth[row] for row in hold]
        decide, held = deciding(evidence.take(fit), fit_truth), evidence.take(hold)
        for number, knob in enumerate(knobs):
            right = correctness(held_truth, decide(knob, held))
            blends = int(right.is_blend.sum())
            salience = float(right.salience.sum() / blends) if blends else 0.0
            totals[number] += presence_weight * right.presence.mean() + (1 - presence_weight) * salience
    return knobs[int(totals.argmax())], totals.tolist()
