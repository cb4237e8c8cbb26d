"""How far predicted intensities agree with true ones, emotion by emotion."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from blended.data import LabelSpace
from blended.eval.estimate import Estimate
from blended.eval.figures.confusion import confusion_figure, count_confusion
from blended.eval.figures.style import LOOKS, MUTED, SMALL, WIDE_INCHES, drawing, new_figure, open_frame
from blended.eval.measures.agreement import agreement_by_emotion
from blended.eval.run_record import RunRecord

Agreement = Mapping[str, tuple[Estimate, Estimate]]
"""Emotion -> Pearson's correlation and concordance."""


def agreement_of(record: RunRecord, space: LabelSpace) -> Agreement:
    """Of a run that answers with intensities; raises TypeError for another."""
    truth, decided = record.truth, record.decided
    if isinstance(truth, ndarray) and isinstance(decided, ndarray):
        return agreement_by_emotion(truth, decided, record.actor_numbers, record.folds, space.emotions)
    raise TypeError(f"run {record.name!r} answers with mixtures, not with intensities")


def agreement_figure(agreement: Agreement, *, width_inches: float = WIDE_INCHES) -> Figure:
    """Pearson's correlation and concordance of every emotion with their intervals, best correlated on top."""
    rows = sorted(agreement.items(), key=lambda item: item[1][0].value)
    looks = ((LOOKS["video"].colour, "o", "Pearson correlation", 0.14),)
    looks += ((LOOKS["audio"].colour, "D", "concordance correlation", -0.14),)
    with drawing():
        figure = new_figure(width_inches, 0.34 * len(rows) + 0.9)
        axes = figure.subplots()
        open_frame(axes)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        for row, (_, estimates) in enumerate(rows):
            for estimate, (colour, marker, _, offset) in zip(estimates, looks, strict=True):
                axes.plot(estimate.span, [row + offset] * 2, color=colour, linewidth=1.3, alpha=0.55)
                axes.plot(estimate.value, row + offset, marker, color=colour, markersize=4.5)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel("means over folds with 95 % intervals")
        handles = [
            Line2D([], [], color=colour, marker=marker, markersize=4.5, linewidth=1.3, label=label)
            for colour, marker, label, _ in looks
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize=SMALL)
    return figure


def run_figure(record: RunRecord, space: LabelSpace) -> Figure:
    """What is taken for what; for intensities, how far every emotion agrees."""
    if not record.decides:
        return agreement_figure(agreement_of(record, space))
    return confusion_figure(count_confusion(*record.of_mixtures(), space))
