"""How much a run depends on who is seen, a dot per actor; and what some clips of a new person are worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blended.eval.enrolment_curve import EnrolmentPoint
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
from blended.eval.measures.blends import correctness
from blended.eval.run_record import RunRecord

DRAWS = {
    "any": (LOOKS["video"].colour, "o", -0.06, "clips drawn at random"),
    "few sets": (LOOKS["audio"].colour, "D", 0.06, "clips of as few emotions as possible"),
}
"""How clips are drawn -> colour, marker, shift to the side in steps of the axis, words."""
VERDICTS = "filled: better than without; hollow: cannot be told apart; cross: worse"


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


def enrolment_figure(
    points: Sequence[EnrolmentPoint], measure: str = "score", *, width_inches: float = WIDE_INCHES
) -> Figure:
    """A line per way of drawing clips, with intervals; dashed: without any normalisation.

    `measure` is what the headline of the task is called.
    """
    numbers = sorted({int(point.clips) for point in points if point.drawn}, key=int)
    place = {str(number): step for step, number in enumerate(numbers)} | {"all": len(numbers)}
    none = next(point for point in points if point.clips == "none")
    every = next(point for point in points if point.clips == "all")
    narrow = is_narrow(width_inches)
    with drawing():
        figure = new_figure(width_inches, 2.6 if narrow else 2.9)
        axes = figure.subplots()
        axes.axhspan(*none.score.span, color=MUTED, alpha=0.12, linewidth=0)
        axes.axhline(none.score.value, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.0,
                     label="no normalisation, with its interval")  # fmt: skip
        for drawn in DRAWS:
            _line(axes, [point for point in points if point.drawn == drawn], drawn, place)
        axes.errorbar(
            place["all"], every.score.value, yerr=_ends([every]), color=INK, marker="s", markersize=4.5,
            linewidth=0, elinewidth=1.3, label="all clips, with the one judged",
        )  # fmt: skip
        axes.set_xticks(list(place.values()), list(place))
        verdicts = VERDICTS.replace("; ", "\n", 1) if narrow else VERDICTS
        axes.set_xlabel(f"clips of the person that scores are normalised from\n{verdicts}")
        axes.set_ylabel(measure)
        axes.tick_params(axis="y", labelsize=SMALL, labelcolor=MUTED)
        axes.grid(axis="y", color=RULE, linewidth=0.6, alpha=0.7)
        for side in ("right", "top"):
            axes.spines[side].set_visible(False)
        figure.legend(loc="outside upper left", ncols=1 if narrow else 2, frameon=False, fontsize=SMALL)
    return figure


def _line(axes: Axes, points: Sequence[EnrolmentPoint], drawn: str, place: dict[str, int]) -> None:
    if not points:
        return
    colour, marker, shift, words = DRAWS[drawn]
    x = [place[point.clips] + shift for point in points]
    y = [point.score.value for point in points]
    axes.errorbar(x, y, yerr=_ends(points), color=colour, linewidth=1.3, elinewidth=1.1)
    for kind, shape in (("helps", marker), ("unclear", marker), ("hurts", "X")):
        chosen = [number for number, point in enumerate(points) if _verdict(point) == kind]
        axes.plot(
            [x[number] for number in chosen],
            [y[number] for number in chosen],
            linestyle="none",
            marker=shape,
            markersize=7 if kind == "hurts" else 5,
            color=colour,
            markerfacecolor="white" if kind == "unclear" else colour,
            zorder=3,
        )
    axes.plot([], [], color=colour, marker=marker, markersize=4.5, linewidth=1.3, label=words)


def _verdict(point: EnrolmentPoint) -> str:
    """Whether the score can be told apart from that without normalisation."""
    low, high = point.gain.ends or (0.0, 0.0)
    if low > 0:
        return "helps"
    return "hurts" if high < 0 else "unclear"


def _ends(points: Sequence[EnrolmentPoint]) -> tuple[list[float], list[float]]:
    """Distances of the ends of the intervals from the values."""
    below = [max(0.0, point.score.value - point.score.span[0]) for point in points]
    return below, [max(0.0, point.score.span[1] - point.score.value) for point in points]
