"""The one picture that every run leaves behind."""

from matplotlib.figure import Figure

from blended.data import LabelSpace
from blended.eval.figures.agreement import agreement_figure, agreement_of
from blended.eval.figures.confusion import confusion_figure, count_confusion
from blended.eval.run_record import RunRecord


def run_figure(record: RunRecord, space: LabelSpace) -> Figure:
    """What is taken for what; for intensities, how far every emotion agrees."""
    if not record.decides:
        return agreement_figure(agreement_of(record, space))
    return confusion_figure(count_confusion(*record.of_mixtures(), space))
