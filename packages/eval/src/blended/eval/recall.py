"""Recall of single labels, unweighted (UAR) and weighted (WAR), with intervals.

A single label is a mixture of one emotion; a decided blend is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.eval.intervals import NUM_RESAMPLES, Estimate, draw_actors, estimates_of


@dataclass(frozen=True, slots=True)
class Recalls:
    """Recall of single labels."""

    unweighted: float
    """UAR: the mean recall over the emotions that occur, in [0, 1]."""
    weighted: float
    """WAR: the share of clips that are right (accuracy), in [0, 1]."""


@dataclass(frozen=True, slots=True)
class RecallEstimates:
    """UAR and WAR, unweighted means over folds with 95 % intervals, actors resampled within folds."""

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


def recall_bootstrap(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    *,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> RecallEstimates:
    """UAR and WAR with intervals like those of `intervals.actor_bootstrap`."""
    point = recall_resample(truth, decided, actors, folds, seed=None, num_resamples=1)
    samples = recall_resample(truth, decided, actors, folds, seed=seed, num_resamples=num_resamples)
    return RecallEstimates(*estimates_of(point, samples))


def recall_resample(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    actors: Int[ndarray, "clip"],
    folds: Int[ndarray, "clip"],
    *,
    seed: int | None,
    num_resamples: int,
) -> Float[ndarray, "resample 2"]:
    """UAR and WAR of every resample, as `intervals.resample` has them; `seed=None` weighs every actor once.

    In a resample of a fold, UAR is the mean over the emotions that its drawn actors show.
    """
    labels, right = _labels(truth, decided)
    rng = None if seed is None else np.random.default_rng(seed)
    samples: list[Float[ndarray, "resample 2"]] = []
    for fold in np.unique(folds):
        counts = _counts_per_actor(labels, right, actors, folds == fold)
        samples.append(_recalls_of(draw_actors(rng, len(counts), num_resamples), counts))
    return np.mean(samples, axis=0)


def _counts_per_actor(
    labels: Int[ndarray, "clip"], right: Float[ndarray, "clip"], actors: Int[ndarray, "clip"], rows: ndarray
) -> Float[ndarray, "actor 2 emotion"]:
    """Per actor and emotion: clips that are right, clips."""
    names, numbers = np.unique(actors[rows], return_inverse=True)
    num_emotions = int(labels.max()) + 1
    cells, size = numbers * num_emotions + labels[rows], len(names) * num_emotions
    sums = [np.bincount(cells, weights=weights, minlength=size) for weights in (right[rows], None)]
    return np.stack([np.reshape(one, (len(names), num_emotions)).astype(float) for one in sums], axis=1)


def _recalls_of(
    drawn: Float[ndarray, "resample actor"], counts: Float[ndarray, "actor 2 emotion"]
) -> Float[ndarray, "resample 2"]:
    right, total = np.moveaxis(np.tensordot(drawn, counts, axes=1), 1, 0)
    occurs = total > 0
    recall = np.divide(right, total, out=np.zeros_like(right), where=occurs)
    unweighted = recall.sum(axis=1) / occurs.sum(axis=1)
    return np.stack([unweighted, right.sum(axis=1) / total.sum(axis=1)], axis=1)


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
