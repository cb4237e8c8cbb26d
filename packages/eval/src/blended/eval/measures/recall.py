"""Recall of single labels, unweighted (UAR) and weighted (WAR).

A single label is a mixture of one emotion; a decided blend is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.eval.measures.measure import Measure, Terms


@dataclass(frozen=True, slots=True)
class Recalls:
    """Recall of single labels."""

    unweighted: float
    """UAR: the mean recall over the emotions that occur, in [0, 1]."""
    weighted: float
    """WAR: the share of clips that are right (accuracy), in [0, 1]."""


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


def unweighted_recall(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> float:
    """UAR: see `recalls`."""
    return recalls(truth, decided).unweighted


def weighted_recall(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> float:
    """WAR: see `recalls`."""
    return recalls(truth, decided).weighted


def _terms(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> Terms:
    """A component per emotion that occurs, and one of all clips."""
    labels, right = _labels(truth, decided)
    num_emotions = int(labels.max()) + 1
    shown = np.concatenate([np.eye(num_emotions)[labels], np.ones((len(labels), 1))], axis=1)
    return Terms(np.stack([shown * right[:, None], shown], axis=-1), shown)


def _of_emotions(occurs: Bool[ndarray, "component"]) -> Float[ndarray, "component"]:
    """The mean over the emotions that a fold has."""
    emotions = np.append(occurs[:-1], False)
    return emotions / emotions.sum()


def _of_all(occurs: Bool[ndarray, "component"]) -> Float[ndarray, "component"]:
    return np.append(np.zeros(len(occurs) - 1), 1)


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


UNWEIGHTED_RECALL = Measure(
    "unweighted_recall",
    "unweighted_recall",
    "UAR",
    "unweighted recall",
    ("single",),
    unweighted_recall,
    _terms,
    _of_emotions,
)
WEIGHTED_RECALL = Measure(
    "weighted_recall",
    "weighted_recall",
    "WAR",
    "weighted recall",
    ("single",),
    weighted_recall,
    _terms,
    _of_all,
)
