"""Recall of single labels, unweighted (UAR) and weighted (WAR), with intervals.

A single label is a mixture of one emotion; a decided blend is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.eval.intervals import Estimate, Spread, ratio, spread


@dataclass(frozen=True, slots=True)
class Recalls:
    """Recall of single labels."""

    unweighted: float
    """UAR: the mean recall over the emotions that occur, in [0, 1]."""
    weighted: float
    """WAR: the share of clips that are right (accuracy), in [0, 1]."""


@dataclass(frozen=True, slots=True)
class RecallEstimates:
    """UAR and WAR, unweighted means over folds with 95 % intervals over actors."""

    unweighted: Estimate
    weighted: Estimate


def recalls(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> Recalls:
    """Unweighted and weighted average recall of single labels; a decided blend is wrong.

    Raises InputError for no clips, sequences of different lengths, or a truth of two emotions.

    >>> ang, sad = Mixture.single("ang"), Mixture.single("sad")
    >>> recalls([ang, ang, ang, sad], [ang, ang, ang, ang])
    Recalls(unweighted=0.5, weighted=0.75)
    """
    labels, right = _labels(truth, decided)
    totals = np.bincount(labels)
    return Recalls(float((np.bincount(labels, weights=right) / totals).mean()), float(right.mean()))


def recall_spread(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
) -> Spread:
    """UAR and WAR, means over folds, and every actor's part; UAR is over the emotions that a fold has."""
    labels, right = _labels(truth, decided)
    num_emotions = int(labels.max()) + 1
    shown = np.concatenate([np.eye(num_emotions)[labels], np.ones((len(labels), 1))], axis=1)
    terms = np.stack([shown * right[:, None], shown], axis=-1)
    return spread(terms, shown, actors, folds, ratio, _unweighted_and_weighted)


def recall_estimates(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
) -> RecallEstimates:
    """UAR and WAR with their intervals."""
    return RecallEstimates(*recall_spread(truth, decided, actors, folds).estimates)


def _unweighted_and_weighted(occurs: Bool[ndarray, "component"]) -> Float[ndarray, "component 2"]:
    """Of the recalls of emotions, of which a fold has some, and of all clips."""
    emotions = np.append(occurs[:-1], False)
    return np.stack([emotions / emotions.sum(), np.append(np.zeros(len(occurs) - 1), 1)], axis=1)


def _labels(
    truth: Sequence[Mixture], decided: Sequence[Mixture]
) -> tuple[Int[ndarray, "clip"], Float[ndarray, "clip"]]:
    """A number per true emotion, and 1 where it is decided."""
    if len(truth) != len(decided):
        raise InputError(f"got {len(truth)} true and {len(decided)} decided labels: lengths must agree")
    if not truth:
        raise InputError("recall of no clips is undefined")
    if blends := [mixture.name for mixture in truth if mixture.is_blend]:
        raise InputError(
            f"recall is of single labels, but {len(blends)} true labels have two emotions, the first "
            f"{blends[0]}: use presence and salience accuracy"
        )
    names = [mixture.name for mixture in truth]
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return numbers, np.array([t == d for t, d in zip(truth, decided, strict=True)], dtype=np.float64)
