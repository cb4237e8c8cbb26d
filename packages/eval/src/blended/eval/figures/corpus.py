"""What a corpus and its features look like before anything is trained: bars of labels, a map of values."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from blended.eval.figures.answer import PRESENT
from blended.eval.figures.style import WIDE_INCHES, drawing, new_figure, open_frame

LIMIT = 3.0
"""Standard deviations at which the colours of a map end."""


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
