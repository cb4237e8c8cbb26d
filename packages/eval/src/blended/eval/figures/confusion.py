"""Which emotion sets are taken for which: a matrix of true against decided sets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.data.labels import set_name
from blended.eval.figures.style import (
    HEAT,
    INK,
    MUTED,
    PAPER,
    SMALL,
    WIDE_INCHES,
    drawing,
    is_narrow,
    new_figure,
)

ELSEWHERE = "other"
"""The column of decided sets that are none of the label space; only there if one was decided."""


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Counts of clips by true and decided emotion set."""

    rows: tuple[str, ...]
    """Names of the true sets, in kinship order."""
    columns: tuple[str, ...]
    """The same, and `other` where something else was decided."""
    counts: Int[ndarray, "true decided"]
    num_singles: int
    """How many of the first rows are sets of one emotion."""

    @property
    def rates(self) -> Float[ndarray, "true decided"]:
        """Share of the clips of each true set, in [0, 1]; a set without clips has zeros."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)


def kinship_order(space: LabelSpace) -> list[frozenset[str]]:
    """Every emotion set once: singles in label order, then pairs, each sharing an emotion with the last.

    The path through the pairs is greedy, the first in label order that continues it.
    """
    sets = space.emotion_sets or tuple(frozenset((emotion,)) for emotion in space.emotions)
    singles = [one for one in sets if len(one) == 1]
    singles.sort(key=lambda one: space.emotions.index(next(iter(one))))
    left = [one for one in sets if len(one) > 1]
    left.sort(key=lambda one: sorted(space.emotions.index(emotion) for emotion in one))
    path: list[frozenset[str]] = []
    while left:
        near = (one for one in left if path and one & path[-1])
        path.append(next(near, left[0]))
        left.remove(path[-1])
    return singles + path


def in_label_order(emotions: frozenset[str], space: LabelSpace) -> tuple[str, ...]:
    """The emotions of a set as the label space orders them."""
    return tuple(emotion for emotion in space.emotions if emotion in emotions)


def count_confusion(truth: Sequence[Mixture], decided: Sequence[Mixture], space: LabelSpace) -> Confusion:
    """Counts clips; the sets are ordered by kinship."""
    order = kinship_order(space)
    position = {emotions: number for number, emotions in enumerate(order)}
    counts = np.zeros((len(order), len(order) + 1), dtype=np.int64)
    for true, chosen in zip(truth, decided, strict=True):
        counts[position[true.emotions], position.get(chosen.emotions, len(order))] += 1
    names = tuple(set_name(emotions) for emotions in order)
    columns = (*names, ELSEWHERE)
    if not counts[:, -1].any():
        counts, columns = counts[:, :-1], names
    return Confusion(names, columns, counts, sum(len(emotions) == 1 for emotions in order))


def confusion_figure(confusion: Confusion, *, width_inches: float = WIDE_INCHES) -> Figure:
    """A heat map of the rates in percent; true sets are rows and add up to 100."""
    with drawing():
        num_rows, num_columns = confusion.counts.shape
        narrow = is_narrow(width_inches)
        side = width_inches - (0.75 if narrow else 1.55)
        figure = new_figure(width_inches, side * num_rows / num_columns + (0.75 if narrow else 0.95))
        axes = figure.subplots()
        heat_map(axes, confusion.rates, smallest=0.1 if narrow else 0.02, size=5.5 if narrow else 6.5)
        outline_diagonal(axes, num_rows)
        # A gap between singles and pairs.
        axes.axhline(confusion.num_singles, color=PAPER, linewidth=3.5, zorder=2)
        axes.axvline(confusion.num_singles, color=PAPER, linewidth=3.5, zorder=2)
        _label(axes, confusion, narrow)
    return figure


def heat_map(axes: Axes, rates: ndarray, *, smallest: float, size: float, top: float = 0.3) -> None:
    """Cells of rates, darkest from `top` on, with their percent from `smallest` on; first row at the top."""
    top = max(top, float(rates.max(initial=0.0)))
    axes.pcolormesh(rates, cmap=HEAT, vmin=0, vmax=top, edgecolors=PAPER, linewidth=0.8)
    for (row, column), rate in np.ndenumerate(rates):
        if rate >= smallest:
            colour = PAPER if rate > 0.5 * top else INK
            axes.text(column + 0.5, row + 0.53, f"{100 * rate:.0f}", ha="center", va="center", color=colour,
                      fontsize=size)  # fmt: skip
    axes.set_xlim(0, rates.shape[1])
    axes.set_ylim(rates.shape[0], 0)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def outline_diagonal(axes: Axes, size: int) -> None:
    """Frames the cells that are right."""
    for k in range(size):
        axes.plot([k, k + 1, k + 1, k, k], [k, k, k + 1, k + 1, k], color=INK, linewidth=0.7, clip_on=False,
                  zorder=3)  # fmt: skip


def _label(axes: Axes, confusion: Confusion, narrow: bool) -> None:
    size = 6.5 if narrow else SMALL + 0.5
    axes.set_xticks(np.arange(len(confusion.columns)) + 0.5, confusion.columns, fontsize=size, color=INK)
    axes.tick_params(axis="x", rotation=90 if narrow else 55, top=True, bottom=False, labeltop=True,
                     labelbottom=False, pad=2)  # fmt: skip
    for label in axes.get_xticklabels():
        label.set(ha="center" if narrow else "left", rotation_mode="default" if narrow else "anchor")
    axes.set_yticks(np.arange(len(confusion.rows)) + 0.5, confusion.rows, fontsize=size)
    if not narrow:
        for number, total in enumerate(confusion.counts.sum(axis=1)):
            axes.text(len(confusion.columns) + 0.15, number + 0.53, f"{total}", va="center", color=MUTED,
                      fontsize=SMALL - 0.5)  # fmt: skip
        axes.text(len(confusion.columns) + 0.15, -0.25, "clips", color=MUTED, fontsize=SMALL - 0.5)
    axes.set_xlabel("decided →" if narrow else "decided, percent of the true set →")
    axes.set_ylabel("← true")
