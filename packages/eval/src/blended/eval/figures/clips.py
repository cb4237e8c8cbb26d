"""What is said about one recording, and what all recordings of a corpus look like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from blended.data import Mixture
from blended.data.digits import chance
from blended.eval.figures.style import (
    INK,
    MUTED,
    RULE,
    SMALL,
    WIDE_INCHES,
    drawing,
    footnote,
    new_figure,
    open_frame,
)

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito, by place of the emotion; lines also bear their names."""
PRESENT, ABSENT = "#0072b2", "#b9c0c9"
PANEL_HEIGHT_PX, PANEL_DPI = 150, 100
LIMIT = 3.0
"""Standard deviations at which the colours of a map end."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Probabilities over time."""

    seconds: Float[np.ndarray, "window"]
    """Centres of the windows."""
    probabilities: Float[np.ndarray, "window emotion"]


def answer_figure(
    title: str,
    emotions: Sequence[str],
    probabilities: Float[np.ndarray, "emotion"],
    decided: Mixture | None,
    *,
    picture: UInt8[np.ndarray, "height width 3"] | None = None,
    course: Course | None = None,
    note: str = "",
) -> Figure:
    """Bars of the probabilities with the decided shares beside them; above, a picture; below, the course."""
    with drawing():
        num_rows = 1 if course is None else 2
        figure = new_figure(WIDE_INCHES, 2.4 * num_rows)
        widths = [1.0] if picture is None else [1.0, 1.3]
        grid = figure.add_gridspec(num_rows, len(widths), width_ratios=widths)
        if picture is not None:
            shown = figure.add_subplot(grid[0, 0])
            shown.imshow(picture)
            shown.set_axis_off()
        bars(figure.add_subplot(grid[0, -1]), emotions, probabilities, decided)
        if course is not None:
            _lines(figure.add_subplot(grid[1, :]), emotions, course)
        figure.suptitle(title, fontsize=SMALL + 1, color=INK, x=0.01, ha="left")
        return footnote(figure, note) if note else figure


def bars(
    axes: Axes, emotions: Sequence[str], probabilities: Float[np.ndarray, "emotion"], decided: Mixture | None
) -> None:
    """One bar per emotion, the first on top; decided emotions darker and with their share in words."""
    shares = dict(decided.shares) if decided is not None else {}
    places = np.arange(len(emotions))
    colours = [PRESENT if emotion in shares else ABSENT for emotion in emotions]
    axes.barh(places, probabilities, color=colours, height=0.7)
    for place, emotion in enumerate(emotions):
        words = f"  {chance(probabilities[place])}" + (
            f"   {shares[emotion]:g} %" if emotion in shares else ""
        )
        weight = "bold" if emotion in shares else "normal"
        axes.text(probabilities[place], place, words, va="center", fontsize=SMALL, color=INK, weight=weight)
    axes.set_yticks(places, labels=[*emotions])
    axes.set_xlim(0, 1.25)
    axes.set_xticks([0, 0.5, 1])
    axes.invert_yaxis()
    axes.tick_params(labelsize=SMALL)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _lines(axes: Axes, emotions: Sequence[str], course: Course) -> None:
    ends: list[tuple[float, int]] = []
    for column, emotion in enumerate(emotions):
        line = course.probabilities[:, column]
        colour = COLOURS[column % len(COLOURS)]
        axes.plot(course.seconds, line, color=colour, linewidth=1.2, label=emotion)
        ends.append((float(line[-1]), column))
    # Names beside the ends, moved apart where lines meet.
    lowest = -np.inf
    for value, column in sorted(ends):
        lowest = max(value, float(lowest) + 0.075)
        axes.annotate(
            emotions[column],
            (1.01, lowest),
            xycoords=("axes fraction", "data"),
            fontsize=SMALL,
            color=COLOURS[column % len(COLOURS)],
            va="center",
        )
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability", fontsize=SMALL)
    axes.set_xlabel("seconds", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)


def panel(
    width_px: int,
    words: str,
    emotions: Sequence[str],
    probabilities: Float[np.ndarray, "emotion"],
    decided: Mixture | None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Pixels of a strip to put below a video: the bars and a line of words."""
    with drawing():
        figure = new_figure(width_px / PANEL_DPI, PANEL_HEIGHT_PX / PANEL_DPI)
        bars(figure.add_subplot(), emotions, probabilities, decided)
        figure.suptitle(words, fontsize=SMALL, color=MUTED, x=0.01, ha="left")
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(PANEL_DPI)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def bars_figure(values: Mapping[str, float], title: str, unit: str) -> Figure:
    """A horizontal bar for every name, in the order given; `unit` says what is counted or measured."""
    with drawing():
        figure = new_figure(WIDE_INCHES, 0.5 + 0.16 * max(len(values), 3))
        axes = figure.add_subplot()
        axes.barh(range(len(values)), list(values.values()), color=PRESENT, height=0.7)
        axes.set_yticks(range(len(values)), list(values))
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.set_title(title, loc="left")
        open_frame(axes)
        return figure


def map_figure(values: np.ndarray, title: str) -> Figure:
    """[clip, dim] standardised by dimension: a row of the picture for every clip, up to three deviations.

    A dimension that never changes is white, and one without a value somewhere stands out as a gap.
    """
    spread = np.nanstd(values, axis=0)
    standard = (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0)
    with drawing():
        figure = new_figure(WIDE_INCHES, 3.0)
        axes = figure.add_subplot()
        drawn = axes.imshow(
            standard, aspect="auto", cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT, interpolation="nearest"
        )
        axes.set_xlabel("dimension")
        axes.set_ylabel("clip")
        axes.set_title(title, loc="left")
        figure.colorbar(drawn, label="standard deviations from the mean of the corpus")
        return figure
