"""Numbers of stored predictions: with intervals, per fold, and as answers that can be compared.

Nothing is fitted here: decisions are taken as they were stored.
"""

from collections.abc import Sequence

import numpy as np

from blended.data import InputError, LabelSpace
from blended.eval.comparison import Answers
from blended.eval.intervals import Basis, Estimate, Spread
from blended.eval.predictions import Predictions
from blended.eval.tasks import TASKS, Measure, Truth
from blended.studies.search.outcome import FoldNumbers


def measures(space: LabelSpace) -> tuple[Measure, ...]:
    """What a task is judged by."""
    return TASKS[space.task].measures


def estimates(predictions: Predictions, space: LabelSpace) -> dict[str, Estimate]:
    """Measure -> unweighted mean over folds with its 95 % interval over actors."""
    found = _spread(predictions, space).estimates
    return {one.key: estimate for one, estimate in zip(measures(space), found, strict=True)}


def basis(predictions: Predictions) -> Basis:
    """What those intervals are over."""
    return Basis(len(set(predictions.actors)), len(set(predictions.folds)))


def fold_numbers(predictions: Predictions, space: LabelSpace) -> dict[int, FoldNumbers]:
    """Of every fold; tasks without blends have neither presence nor salience."""
    folds = sorted({fold for fold in predictions.folds if fold is not None})
    found: dict[int, FoldNumbers] = {}
    for fold in folds:
        rows = [row for row, one in enumerate(predictions.folds) if one == fold]
        values = _spread(predictions.take(rows), space).values
        named = {one.key: float(value) for one, value in zip(measures(space), values, strict=True)}
        found[fold] = FoldNumbers(
            presence=named.get("presence_accuracy"),
            salience=named.get("salience_accuracy"),
            score=named[TASKS[space.task].headline.key],
        )
    return found


def answers(name: str, predictions: Predictions, space: LabelSpace) -> Answers:
    """What `blended.eval.comparison` compares."""
    actors, folds = _where(predictions)
    truth, decided = _truth(predictions), _decided(predictions)
    return Answers(name, space.task, truth, decided, predictions.clip_ids, actors, folds)


def joined(parts: Sequence[tuple[int, Predictions]]) -> Predictions:
    """Fold k from the k-th predictions, for numbers of a configuration that was chosen fold by fold.

    Clips come in the order of the first; raises InputError where the others have other clips.
    """
    first = parts[0][1]
    by_fold = dict(parts)
    if any(one.clip_ids != first.clip_ids for one in by_fold.values()):
        raise InputError("trials of one study were evaluated on different clips: run them again")
    rows = [(row, by_fold[fold]) for row, fold in enumerate(first.folds) if fold is not None]
    true = first.true_intensities
    return Predictions(
        clip_ids=first.clip_ids,
        actors=first.actors,
        folds=first.folds,
        probabilities=np.stack([one.probabilities[row] for row, one in rows]),
        decided=tuple(one.decided[row] for row, one in rows) if first.decided else (),
        truth=first.truth,
        true_intensities=true,
    )


def _spread(predictions: Predictions, space: LabelSpace) -> Spread:
    return TASKS[space.task].spread(_truth(predictions), _decided(predictions), *_where(predictions))


def _where(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """A number per actor, and the folds."""
    actors = np.unique(np.array(predictions.actors), return_inverse=True)[1].astype(np.int64)
    return actors, np.array([fold or 0 for fold in predictions.folds], dtype=np.int64)


def _truth(predictions: Predictions) -> Truth:
    if predictions.true_intensities is not None:
        return predictions.true_intensities
    return [mixture for mixture in predictions.truth if mixture is not None]


def _decided(predictions: Predictions) -> Truth:
    return [*predictions.decided] if predictions.decided else predictions.probabilities
