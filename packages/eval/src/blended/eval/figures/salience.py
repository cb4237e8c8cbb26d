"""How well the shares of a blend are read, pair by pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from jaxtyping import Int
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
