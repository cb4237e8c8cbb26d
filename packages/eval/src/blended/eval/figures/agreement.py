"""Whether numbers mean what they say: intensities against true ones, probabilities against what was there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.eval.estimate import Estimate
from blended.eval.figures.confusion import confusion_figure, count_confusion
from blended.eval.figures.style import (
    INK,
    LOOKS,
    MUTED,
    PAPER,
    RULE,
    SMALL,
    WIDE_INCHES,
    drawing,
    is_narrow,
    new_figure,
    open_frame,
)
from blended.eval.measures.agreement import NUM_BINS, Reliability, agreement_by_emotion, reliability
from blended.eval.run_record import RunRecord

Agreement = Mapping[str, tuple[Estimate, Estimate]]
"""Emotion -> Pearson's correlation and concordance."""
FEWEST = 20
"""Bins with fewer probabilities are not drawn: their rates are noise. The error counts them."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoReadings:
    """The probabilities of all emotions of all clips, against two readings of the truth."""

    presence: Reliability
    """Against 1 where the emotion is present, alone or in a blend, else 0."""
    shares: Reliability
    """Against the true share of the emotion, as a fraction: what a model of shares is trained for."""


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


def two_readings(
    truth: Sequence[Mixture], probabilities: Float[ndarray, "clip emotion"], space: LabelSpace
) -> TwoReadings:
    """Bins every probability of every clip."""
    targets = target_shares(truth, space)
    present = (targets > 0).astype(np.float64)
    given = probabilities.ravel()
    return TwoReadings(reliability(given, present.ravel()), reliability(given, targets.ravel()))


def target_shares(truth: Sequence[Mixture], space: LabelSpace) -> Float[ndarray, "clip emotion"]:
    """True shares as fractions, emotions in the order of the space."""
    columns = {emotion: number for number, emotion in enumerate(space.emotions)}
    targets = np.zeros((len(truth), len(columns)))
    for row, mixture in enumerate(truth):
        for emotion, share in mixture.shares:
            targets[row, columns[emotion]] = share / 100
    return targets


def reliability_figure(found: TwoReadings, *, width_inches: float = WIDE_INCHES) -> Figure:
    """Two diagrams side by side, presence and shares, above how many probabilities there are of each size."""
    narrow = is_narrow(width_inches)
    titles = ("present", "true share") if narrow else ("how often it is present", "its mean true share")
    looks = ((LOOKS["video"].colour, "o"), (LOOKS["audio"].colour, "D"))
    with drawing():
        figure = new_figure(width_inches, 2.6 if narrow else 3.3)
        # Room between the 1 of the left axis and the 0 of the right one.
        figure.get_layout_engine().set(wspace=0.06)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
        grid = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=[4, 1])
        for column, one in enumerate((found.presence, found.shares)):
            _diagram(grid[0, column], one, *looks[column])
            title = f"{titles[column]}: error {one.error:.3f}"
            grid[0, column].set_title(title, fontsize=SMALL + 0.5, color=INK, loc="left")
            _histogram(grid[1, column], one)
            grid[1, column].set_xlabel("probability" if narrow else "probability given to an emotion")
        grid[0, 0].set_ylabel("in the clips")
        grid[1, 0].set_ylabel("%")
    return figure


def _diagram(axes: Axes, found: Reliability, colour: str, marker: str) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    drawn = found.counts >= FEWEST
    said, true = found.said[drawn], found.found[drawn]
    # Lines without points have no place, which would upset the layout.
    if drawn.any():
        axes.vlines(said, said, true, color=colour, linewidth=1.2, alpha=0.35, zorder=2)
        axes.plot(said, true, color=colour, linewidth=1.3, marker=marker, markersize=4.5,
                  markeredgecolor=PAPER, clip_on=False, zorder=3)  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=SMALL, color=MUTED)
    axes.grid(color=RULE, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)


def _histogram(axes: Axes, found: Reliability) -> None:
    bins = np.minimum((found.said * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    percent = 100 * found.counts / found.counts.sum()
    axes.bar((bins + 0.5) / NUM_BINS, percent, width=0.9 / NUM_BINS, color=RULE)
    axes.tick_params(axis="y", labelsize=SMALL, labelcolor=MUTED)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
