"""Which predictors matter for which pair: what is lost where one is permuted."""

import numpy as np
from matplotlib.figure import Figure

from blended.eval.figures.style import INK, MUTED, PAPER, SMALL, WIDE_INCHES, drawing, is_narrow, new_figure
from blended.eval.importance import ALL, Importance
from blended.eval.intervals import Estimate

MOST_SHOWN = 12
"""Predictors in a figure; those with the largest loss over all clips."""


def pairs_in(importance: Importance) -> list[str]:
    """Every pair, in the order in which they first occur."""
    return list(dict.fromkeys(pair for by_pair in importance.values() for pair in by_pair))


def largest(importance: Importance, most: int = MOST_SHOWN) -> Importance:
    """The predictors that cost most over all clips."""
    names = sorted(importance, key=lambda name: -_value(importance[name].get(ALL, 0.0)))
    return {name: importance[name] for name in names[:most]}


def importance_figure(importance: Importance, *, width_inches: float = WIDE_INCHES) -> Figure:
    """A cell per predictor and pair, coloured by the drop: violet where it mattered, orange where it hurt.

    Bold where the interval of the drop does not hold zero; a dash where nothing is known. On a narrow page
    predictors are columns.
    """
    narrow = is_narrow(width_inches)
    rows, columns = list(importance), pairs_in(importance)
    values = np.array([[_value(importance[row].get(pair)) for pair in columns] for row in rows])
    certain = np.array([[_certain(importance[row].get(pair)) for pair in columns] for row in rows])
    if narrow:
        rows, columns, values, certain = columns, rows, values.T, certain.T
    top = max(0.02, float(np.nanmax(np.abs(values), initial=0.0)))
    with drawing():
        figure = new_figure(width_inches, 0.3 * len(rows) + 1.15)
        axes = figure.subplots()
        axes.pcolormesh(values, cmap="PuOr", vmin=-top, vmax=top, edgecolors=PAPER, linewidth=0.8)
        for (row, column), value in np.ndenumerate(values):
            words = "\N{EN DASH}" if np.isnan(value) else _percent(value)
            dark = not np.isnan(value) and abs(value) > 0.6 * top
            axes.text(
                column + 0.5, row + 0.53, words, ha="center", va="center", fontsize=SMALL,
                color=PAPER if dark else INK, weight="bold" if certain[row, column] else "normal",
            )  # fmt: skip
        axes.set_ylim(len(rows), 0)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.set_xticks(
            np.arange(len(columns)) + 0.5, columns, rotation=40, ha="left", rotation_mode="anchor"
        )
        axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        note = "points of score lost where it is permuted; bold: more than noise"
        axes.set_xlabel("points lost; bold: more than noise" if narrow else note, color=MUTED)
    return figure


def _percent(value: float) -> str:
    """Hundredths, with a true minus sign, never minus nothing.

    >>> _percent(0.034), _percent(-0.0001)
    ('3.4', '0.0')
    """
    text = f"{100 * value:.1f}"
    return text.replace("-0.0", "0.0").replace("-", "\N{MINUS SIGN}")


def _value(cell: Estimate | float | None) -> float:
    if cell is None:
        return float("nan")
    return cell.value if isinstance(cell, Estimate) else cell


def _certain(cell: Estimate | float | None) -> bool:
    if not isinstance(cell, Estimate) or cell.ends is None:
        return False
    low, high = cell.ends
    return low > 0 or high < 0
