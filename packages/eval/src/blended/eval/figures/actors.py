"""How much a run depends on who is seen: one dot per actor."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blended.eval.figures.style import (
    INK,
    LOOKS,
    MUTED,
    PAPER,
    SMALL,
    WIDE_INCHES,
    drawing,
    new_figure,
    open_frame,
)
from blended.eval.measures.blends import correctness
from blended.eval.run_record import RunRecord


@dataclass(frozen=True, slots=True)
class ActorResult:
    """One actor of the training partition."""

    actor: str
    fold: int
    num_clips: int
    presence_accuracy: float
    """In [0, 1]."""


def actor_results(record: RunRecord) -> list[ActorResult]:
    """By fold, then by rising presence accuracy, then by name."""
    found: list[ActorResult] = []
    compared = correctness(*record.of_mixtures())
    for actor in np.unique(record.actors):
        rows = record.actors == actor
        right = compared.presence[rows]
        found.append(
            ActorResult(str(actor), int(record.folds[rows][0]), int(rows.sum()), float(right.mean()))
        )
    return sorted(found, key=lambda result: (result.fold, result.presence_accuracy, result.actor))


def expected_spread(results: list[ActorResult]) -> tuple[float, float]:
    """The 95 % range of presence accuracies if all actors were equally hard, in [0, 1].

    Binomial, normal approximation, for the mean accuracy and the median number of clips.
    """
    clips = np.array([result.num_clips for result in results], dtype=float)
    right = np.array([result.presence_accuracy for result in results])
    mean = float((right * clips).sum() / clips.sum())
    half = 1.96 * float(np.sqrt(mean * (1 - mean) / np.median(clips)))
    return max(0.0, mean - half), min(1.0, mean + half)


def actors_figure(record: RunRecord, *, width_inches: float = WIDE_INCHES) -> Figure:
    """Presence accuracy per actor, a line per fold; grey: what chance alone would spread."""
    results = actor_results(record)
    folds = sorted({result.fold for result in results})
    with drawing():
        figure = new_figure(width_inches, 0.42 * len(folds) + 0.6)
        axes = figure.subplots()
        open_frame(axes)
        axes.axvspan(*expected_spread(results), color=MUTED, alpha=0.12, linewidth=0)
        for row, fold in enumerate(folds):
            _strip(axes, row, [result for result in results if result.fold == fold])
        _name_extremes(axes, results, folds)
        axes.set_yticks(range(len(folds)), [f"fold {fold}" for fold in folds])
        axes.set_ylim(len(folds) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel("presence accuracy of each actor")
    return figure


def _strip(axes: Axes, row: int, results: list[ActorResult]) -> None:
    """Dots of one fold, moved apart up and down in turn, and the accuracy of the fold."""
    values = [result.presence_accuracy for result in results]
    offsets = [0.16 * ((number % 3) - 1) for number in range(len(values))]
    colour = LOOKS["video"].colour
    axes.scatter(values, [row + offset for offset in offsets], s=20, color=colour, alpha=0.75,
                 edgecolors=PAPER, linewidths=0.5, zorder=3)  # fmt: skip
    clips = np.array([result.num_clips for result in results])
    mean = float((np.array(values) * clips).sum() / clips.sum())
    axes.plot([mean, mean], [row - 0.32, row + 0.32], color=INK, linewidth=1.6, zorder=2)


def _name_extremes(axes: Axes, results: list[ActorResult], folds: list[int]) -> None:
    lowest = min(results, key=lambda result: result.presence_accuracy)
    highest = max(results, key=lambda result: result.presence_accuracy)
    for result, side in ((lowest, -1), (highest, 1)):
        same_fold = [one for one in results if one.fold == result.fold]
        offset = 0.16 * ((same_fold.index(result) % 3) - 1)
        axes.annotate(
            result.actor,
            (result.presence_accuracy, folds.index(result.fold) + offset),
            xytext=(5 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=SMALL - 0.5,
            color=MUTED,
        )
