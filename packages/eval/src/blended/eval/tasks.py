"""What a task asks for: a table of its headline, what decides, and where its labels are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import Clip, InputError, LabelSpace, Mixture
from blended.data.labels import Task
from blended.eval.decisions.decider import IDENTITY
from blended.eval.measures import Measure, measures_of
from blended.eval.measures.agreement import MEAN_PEARSON
from blended.eval.measures.blends import SCORE
from blended.eval.measures.recall import UNWEIGHTED_RECALL


@dataclass(frozen=True, slots=True)
class TaskEvaluation:
    """How a task is evaluated."""

    task: Task
    headline: Measure
    """What runs are ranked and told apart by; one of its measures."""
    decision: str
    """What decides unless a user names something else. Of blends: what inner folds prefer on real outputs
    (LOG.md)."""
    truth: Callable[[Sequence[Clip], LabelSpace], Any]
    """The labels of clips; raises InputError for a clip without one."""
    decides: bool = True
    """Whether scores become mixtures; intensities are taken as they are."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Shown side by side."""
        return measures_of(self.task)

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


def decision_of(task: Task, tune: str) -> str:
    """What decides where nobody says: training, evaluation and studies ask here.

    In-fold tuning exists only to compare with published numbers, which are of thresholds.
    """
    return "thresholds" if tune == "in-fold" else TASKS[task].decision


TASKS: dict[Task, TaskEvaluation] = {
    "mixture": TaskEvaluation("mixture", SCORE, "set-ratio", mixtures),
    "single": TaskEvaluation("single", UNWEIGHTED_RECALL, "argmax", mixtures),
    "intensities": TaskEvaluation("intensities", MEAN_PEARSON, IDENTITY, true_intensities, decides=False),
}
