"""What a task asks for decides how it is evaluated: two tables, of measures and of tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import Clip, InputError, LabelSpace, Mixture
from blended.data.labels import Task
from blended.eval.decisions.identity import IDENTITY
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.intensities import IntensityEvaluation, evaluate_intensities, intensity_spread
from blended.eval.intervals import Spread, score_spread
from blended.eval.metrics import correctness
from blended.eval.recall import recall_spread

Truth = list[Mixture] | Float[ndarray, "clip emotion"]
AnyEvaluation = Evaluation | IntensityEvaluation


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that runs are judged by."""

    key: str
    """In files and for programs, such as `presence_accuracy`."""
    short: str
    """What names the ends of its interval: `presence_low`."""
    title: str
    """Head of a column."""
    words: str
    """In a sentence."""


MEASURES: dict[str, Measure] = {
    one.key: one
    for one in (
        Measure("presence_accuracy", "presence", "Presence", "presence accuracy"),
        Measure("salience_accuracy", "salience", "Salience", "salience accuracy"),
        Measure("score", "score", "Score", "score"),
        Measure("unweighted_recall", "unweighted_recall", "UAR", "unweighted recall"),
        Measure("weighted_recall", "weighted_recall", "WAR", "weighted recall"),
        Measure("mean_pearson", "mean_pearson", "Pearson", "mean Pearson correlation"),
        Measure("mean_concordance", "mean_concordance", "CCC", "mean concordance correlation"),
    )
}


@dataclass(frozen=True, slots=True)
class TaskEvaluation:
    """How a task is evaluated."""

    measures: tuple[Measure, ...]
    """Shown side by side."""
    headline: Measure
    """What runs are ranked and told apart by; one of `measures`."""
    decision: str
    """What decides unless a user names something else. Of blends: what inner folds prefer on real outputs
    (LOG.md)."""
    truth: Callable[[Sequence[Clip], LabelSpace], Any]
    """The labels of clips; raises InputError for a clip without one."""
    evaluate: Callable[..., Any]
    """(evidence, truth, protocol) -> evaluation."""
    spread: Callable[..., Spread]
    """(truth, decided, actors, folds) -> every measure, and the part that every actor has in it."""
    decides: bool = True
    """Whether scores become mixtures; intensities are taken as they are."""

    @property
    def headline_place(self) -> int:
        """Of the headline among the measures."""
        return self.measures.index(self.headline)


def mixtures(clips: Sequence[Clip], space: LabelSpace) -> list[Mixture]:
    """What is annotated, one per clip; raises InputError for a clip without a label."""
    del space
    for clip in clips:
        if clip.mixture is None:
            raise _unlabelled(clip)
    return [clip.mixture for clip in clips if clip.mixture is not None]


def true_intensities(clips: Sequence[Clip], space: LabelSpace) -> Float[ndarray, "clip emotion"]:
    """Intensities in [0, 1]; raises InputError for a clip without them."""
    for clip in clips:
        if clip.soft is None:
            raise _unlabelled(clip)
    values = [clip.soft.values for clip in clips if clip.soft is not None]
    return np.array(values, dtype=np.float64).reshape(len(clips), len(space.emotions))


def _unlabelled(clip: Clip) -> InputError:
    return InputError(f"training clip {clip.id!r} has no label; label it or move it to the test partition")


def _mixture_spread(
    truth: Sequence[Mixture], decided: Sequence[Mixture], actors: ndarray, folds: ndarray
) -> Spread:
    return score_spread(correctness(truth, decided), actors, folds)


def _measures(*keys: str) -> tuple[Measure, ...]:
    return tuple(MEASURES[key] for key in keys)


def decision_of(task: Task, tune: str) -> str:
    """What decides where nobody says: training, evaluation and studies ask here.

    In-fold tuning exists only to compare with published numbers, which are of thresholds.
    """
    return "thresholds" if tune == "in-fold" else TASKS[task].decision


TASKS: dict[Task, TaskEvaluation] = {
    "mixture": TaskEvaluation(
        _measures("presence_accuracy", "salience_accuracy", "score"),
        MEASURES["score"],
        "set-ratio",
        mixtures,
        evaluate,
        _mixture_spread,
    ),
    "single": TaskEvaluation(
        _measures("unweighted_recall", "weighted_recall"),
        MEASURES["unweighted_recall"],
        "argmax",
        mixtures,
        evaluate,
        recall_spread,
    ),
    "intensities": TaskEvaluation(
        _measures("mean_pearson", "mean_concordance"),
        MEASURES["mean_pearson"],
        IDENTITY,
        true_intensities,
        evaluate_intensities,
        intensity_spread,
        decides=False,
    ),
}
