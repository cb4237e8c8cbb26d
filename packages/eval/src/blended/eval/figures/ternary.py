"""Blends on the simplex: how much probability goes to either emotion of a pair, and how much elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.eval.figures.confusion import in_label_order, kinship_order
from blended.eval.figures.style import (
    INK,
    MUTED,
    PAPER,
    RULE,
    SMALL,
    WIDE_INCHES,
    drawing,
    is_narrow,
    new_figure,
)

HEIGHT = float(np.sqrt(3) / 2)
SIDES = {-1: ("#c2410c", ">"), 0: (MUTED, "o"), 1: ("#0072b2", "<")}
"""Sign of (true share of the first emotion - 50) -> colour and a marker that points to the larger share."""


@dataclass(frozen=True, slots=True, eq=False)
class PairPoints:
    """The clips of one pair on its triangle."""

    first: str
    second: str
    """In label order."""
    shares: Float[ndarray, "clip"]
    """True share of `first` in percent."""
    places: Float[ndarray, "clip 3"]
    """Probability of `first`, of `second`, of all other emotions; rows add up to 1."""


def pair_points(
    truth: Sequence[Mixture], probabilities: Float[ndarray, "clip emotion"], space: LabelSpace
) -> list[PairPoints]:
    """One per pair that has clips, in kinship order."""
    found: list[PairPoints] = []
    for emotions in kinship_order(space):
        rows = [row for row, mixture in enumerate(truth) if mixture.emotions == emotions]
        if len(emotions) < 2 or not rows:
            continue
        first, second = in_label_order(emotions, space)
        columns = [space.emotions.index(first), space.emotions.index(second)]
        both = probabilities[rows][:, columns]
        places = np.column_stack([both, 1 - both.sum(axis=1)])
        shares = np.array([dict(truth[row].shares)[first] for row in rows])
        found.append(PairPoints(first, second, shares, places))
    return found


def ternary_figure(points: Sequence[PairPoints], *, width_inches: float = WIDE_INCHES) -> Figure:
    """A triangle per pair: a small mark per clip, a large one for the mean of every true share."""
    narrow = is_narrow(width_inches)
    per_line = 3 if narrow else 5
    num_lines = -(-len(points) // per_line)
    with drawing():
        figure = new_figure(
            width_inches, num_lines * width_inches / per_line * 1.02 + (0.6 if narrow else 0.3)
        )
        grid = figure.subplots(num_lines, per_line, squeeze=False)
        for number, axes in enumerate(grid.flat):
            axes.set_axis_off()
            if number < len(points):
                _triangle(axes, points[number])
        handles = [_handle(sign) for sign in sorted(SIDES, reverse=True)]
        figure.legend(
            handles=handles,
            loc="outside upper left",
            ncols=1 if narrow else 3,
            frameon=False,
            fontsize=SMALL,
        )
    return figure


def on_plane(places: Float[ndarray, "*row 3"]) -> Float[ndarray, "*row 2"]:
    """From shares of first, second and others to x and y of a triangle of side 1, others at the top.

    >>> on_plane(np.array([0.3, 0.7, 0.0])).tolist()
    [0.7, 0.0]
    """
    return np.stack([places[..., 1] + places[..., 2] / 2, HEIGHT * places[..., 2]], axis=-1)


def _triangle(axes: Axes, points: PairPoints) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(-0.06, 1.06)
    axes.set_ylim(-0.24, HEIGHT + 0.14)
    axes.plot([0, 1, 0.5, 0], [0, 0, HEIGHT, 0], color=MUTED, linewidth=0.8, zorder=1)
    # Both emotions equal; and half of the probability elsewhere.
    axes.plot([0.5, 0.5], [0, HEIGHT], color=RULE, linewidth=0.7, zorder=1)
    axes.plot([0.25, 0.75], [HEIGHT / 2] * 2, color=RULE, linewidth=0.7, zorder=1)
    axes.text(-0.04, -0.15, points.first, ha="left", va="center", fontsize=SMALL + 0.5, color=INK)
    axes.text(1.04, -0.15, points.second, ha="right", va="center", fontsize=SMALL + 0.5, color=INK)
    axes.text(0.5, HEIGHT + 0.08, "others", ha="center", va="center", fontsize=SMALL - 1, color=MUTED)
    # Even blends first: where all means meet, the two that should lean lie on top.
    for share in sorted(np.unique(points.shares), key=lambda share: abs(share - 50)):
        _draw_share(axes, float(share), points.places[points.shares == share])


def _draw_share(axes: Axes, share: float, places: Float[ndarray, "clip 3"]) -> None:
    """The clips of one true share, their mean, and hollow, where they belong."""
    colour, marker = SIDES[int(np.sign(share - 50))]
    x, y = on_plane(places).T
    axes.scatter(x, y, s=5, marker=marker, color=colour, alpha=0.4, linewidths=0, zorder=2)
    x, y = on_plane(np.array([share, 100 - share, 0]) / 100)
    axes.plot(x, y, marker, color=PAPER, markeredgecolor=colour, markersize=4, clip_on=False, zorder=3)
    x, y = on_plane(places.mean(axis=0))
    axes.plot(
        x,
        y,
        marker,
        color=colour,
        markeredgecolor=PAPER,
        markeredgewidth=0.6,
        markersize=5.5,
        alpha=0.85,
        zorder=4,
    )


def _handle(sign: int) -> Line2D:
    colour, marker = SIDES[sign]
    words = {-1: "more of the right emotion", 0: "as much of both", 1: "more of the left emotion"}
    return Line2D(
        [], [], color=colour, marker=marker, markersize=6, linewidth=0, label=f"true: {words[sign]}"
    )
