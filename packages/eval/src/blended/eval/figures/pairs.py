"""Blends, pair by pair: how well their shares are read, and where probability goes on the simplex."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.eval.estimate import Estimate
from blended.eval.figures.confusion import heat_map, in_label_order, kinship_order, outline_diagonal
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
from blended.eval.measures import spread_of
from blended.eval.measures.blends import PRESENCE, SALIENCE
from blended.eval.run_record import RunRecord

ANYTHING_ELSE = "else"
"""The column of clips decided for another set, or for shares that the corpus does not have."""
HEIGHT = float(np.sqrt(3) / 2)
SIDES = {-1: ("#c2410c", ">"), 0: (MUTED, "o"), 1: ("#0072b2", "<")}
"""Sign of (true share of the first emotion - 50) -> colour and a marker that points to the larger share."""


@dataclass(frozen=True, slots=True, eq=False)
class PairResult:
    """What became of the clips of one pair of emotions."""

    first: str
    second: str
    """In label order."""
    num_clips: int
    presence: Estimate
    """The pair was found; interval as for whole runs."""
    salience: Estimate
    """With its shares."""
    shares: tuple[int, ...]
    """True shares of `first` in percent, ascending: the rows of `counts`."""
    counts: Int[ndarray, "true decided"]
    """Clips by true share of `first` and decided share; the last column is anything else."""

    @property
    def name(self) -> str:
        """`ang+disg`, in label order."""
        return f"{self.first}+{self.second}"

    @property
    def rates(self) -> ndarray:
        """[true, decided]: share of the clips of each true share, in [0, 1]."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)


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


def pair_results(record: RunRecord, space: LabelSpace) -> list[PairResult]:
    """One result per pair that has clips, in kinship order."""
    truth, decided = record.of_mixtures()
    found: list[PairResult] = []
    for emotions in kinship_order(space):
        rows = np.array([mixture.emotions == emotions for mixture in truth], dtype=bool)
        if len(emotions) < 2 or not rows.any():
            continue
        own = (list(compress(truth, rows)), list(compress(decided, rows)))
        where = (record.actor_numbers[rows], record.folds[rows])
        found_it, with_shares = spread_of((PRESENCE, SALIENCE), *own, *where).estimates
        first, second = in_label_order(emotions, space)
        shares = _shares(space, emotions, first)
        counts = _count_shares(truth, decided, emotions, first, shares)
        found.append(PairResult(first, second, int(rows.sum()), found_it, with_shares, shares, counts))
    return found


def pairs_figure(pairs: Sequence[PairResult], *, width_inches: float = WIDE_INCHES) -> Figure:
    """Per pair, how often it was found, and how often with its shares, with 95 % intervals."""
    ordered = sorted(pairs, key=lambda pair: (pair.salience.value, pair.name))
    found, shared = LOOKS["video"].colour, LOOKS["audio"].colour
    with drawing():
        figure = new_figure(width_inches, 0.29 * len(ordered) + 0.8)
        axes = figure.subplots()
        open_frame(axes)
        for row, pair in enumerate(ordered):
            for value, colour, marker, offset in (
                (pair.presence, found, "o", 0.15),
                (pair.salience, shared, "D", -0.15),
            ):
                axes.plot(value.span, [row + offset] * 2, color=colour, linewidth=1.3, alpha=0.55)
                axes.plot(value.value, row + offset, marker, color=colour, markersize=4.5)
        axes.set_yticks(range(len(ordered)), [pair.name for pair in ordered])
        axes.set_xlim(left=0)
        axes.set_ylim(-0.6, len(ordered) - 0.4)
        axes.set_xlabel("share of the clips of the pair")
        handles = [
            Line2D([], [], color=found, marker="o", markersize=4.5, linewidth=1.3, label="pair found"),
            Line2D([], [], color=shared, marker="D", markersize=4.5, linewidth=1.3, label="with its shares"),
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize=SMALL)
    return figure


def shares_figure(pairs: Sequence[PairResult], *, width_inches: float = WIDE_INCHES) -> Figure:
    """A small matrix per pair: true shares as rows, decided shares as columns, in percent of the row."""
    per_line = 2 if is_narrow(width_inches) else 5
    num_lines = -(-len(pairs) // per_line)
    # One scale of colours, so that pairs can be compared.
    top = max([0.3] + [float(pair.rates[:, :-1].max()) for pair in pairs])
    with drawing():
        figure = new_figure(width_inches, num_lines * width_inches / per_line * 0.98)
        grid = figure.subplots(num_lines, per_line, squeeze=False)
        for number, axes in enumerate(grid.flat):
            if number < len(pairs):
                _draw_shares(axes, pairs[number], top)
            else:
                axes.set_axis_off()
        figure.supxlabel("decided share →", fontsize=SMALL, color=MUTED)
        figure.supylabel("← true share", fontsize=SMALL, color=MUTED)
    return figure


def _draw_shares(axes: Axes, pair: PairResult, top: float) -> None:
    """Blue where the pair was found; grey for anything else, which would outshine it."""
    num_shares = len(pair.shares)
    heat_map(axes, pair.rates[:, :-1], smallest=0.0, size=SMALL, top=top)
    axes.axvspan(num_shares + 0.12, num_shares + 1, color=RULE, alpha=0.35, linewidth=0)
    for row, rate in enumerate(pair.rates[:, -1]):
        axes.text(num_shares + 0.56, row + 0.53, f"{100 * rate:.0f}", ha="center", va="center", color=MUTED,
                  fontsize=SMALL)  # fmt: skip
    axes.set_xlim(0, num_shares + 1)
    axes.set_aspect("equal")
    outline_diagonal(axes, num_shares)
    names = [f"{share}/{100 - share}" for share in pair.shares]
    at = np.arange(num_shares + 1) + 0.5
    axes.set_xticks(at, [*names, ANYTHING_ELSE], fontsize=SMALL - 1, color=MUTED, rotation=40)
    axes.set_yticks(at[:-1], names, fontsize=SMALL - 1, color=MUTED)
    axes.tick_params(pad=1)
    axes.set_title(f"{pair.first} / {pair.second}", fontsize=SMALL + 0.5, color=INK, pad=4)


def _shares(space: LabelSpace, emotions: frozenset[str], first: str) -> tuple[int, ...]:
    return tuple(sorted(state.rounded()[first] for state in space.states if state.emotions == emotions))


def _count_shares(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    emotions: frozenset[str],
    first: str,
    shares: tuple[int, ...],
) -> ndarray:
    counts = np.zeros((len(shares), len(shares) + 1), dtype=np.int64)
    for true, chosen in zip(truth, decided, strict=True):
        if true.emotions == emotions:
            share = chosen.rounded()[first] if chosen.emotions == emotions else None
            column = shares.index(share) if share in shares else len(shares)
            counts[shares.index(true.rounded()[first]), column] += 1
    return counts


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
