"""Score against the number of clips that a person is normalised from: how many are needed, when it hurts."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.figures.style import (
    INK,
    LOOKS,
    MUTED,
    RULE,
    SMALL,
    WIDE_INCHES,
    drawing,
    is_narrow,
    new_figure,
)

DRAWS = {
    "any": (LOOKS["video"].colour, "o", -0.06, "clips drawn at random"),
    "few sets": (LOOKS["audio"].colour, "D", 0.06, "clips of as few emotions as possible"),
}
"""How clips are drawn -> colour, marker, shift to the side in steps of the axis, words."""

VERDICTS = "filled: better than without; hollow: cannot be told apart; cross: worse"


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
