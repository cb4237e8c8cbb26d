"""The one picture that every run leaves behind."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from blended.data import LabelSpace, Mixture
from blended.eval.figures.agreement import agreement_figure
from blended.eval.figures.confusion import confusion_figure, count_confusion
from blended.eval.intensities import IntensityEvaluation
from blended.eval.tasks import AnyEvaluation


def run_figure(evaluation: AnyEvaluation, truth: Sequence[Mixture | None], space: LabelSpace) -> Figure:
    """What is taken for what; for intensities, how far every emotion agrees."""
    if isinstance(evaluation, IntensityEvaluation):
        return agreement_figure(evaluation)
    labelled = [mixture for mixture in truth if mixture is not None]
    return confusion_figure(count_confusion(labelled, evaluation.decided, space))
