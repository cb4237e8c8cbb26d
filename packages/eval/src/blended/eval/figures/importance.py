"""What runs rely on, drawn: importance of encoders and predictors, what fusion counts encoders for."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from blended.eval.estimate import Estimate
from blended.eval.figures.style import (
    HEAT,
    INK,
    LOOKS,
    MUTED,
    PAPER,
    SMALL,
    WIDE_INCHES,
    drawing,
    is_narrow,
    new_figure,
    open_frame,
)
from blended.eval.importance import ALL, Importance

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


FINAL = "final"
"""In place of a fold: of the model for new clips."""


def gates_figure(gates: Mapping[str, Mapping[str, float]], *, width_inches: float = WIDE_INCHES) -> Figure:
    """A cell per set of emotions and encoder: the mean weight of its clips, in percent."""
    encoders = list(gates)
    sets = list(dict.fromkeys(name for row in gates.values() for name in row))
    values = np.array([[gates[encoder].get(name, np.nan) for encoder in encoders] for name in sets])
    top = max(float(np.nanmax(values, initial=0.0)), 2 / max(1, len(encoders)))
    with drawing():
        figure = new_figure(width_inches, 0.22 * len(sets) + 1.0)
        axes = figure.subplots()
        axes.pcolormesh(values, cmap=HEAT, vmin=0, vmax=top, edgecolors=PAPER, linewidth=0.8)
        for (row, column), value in np.ndenumerate(values):
            words = "\N{EN DASH}" if np.isnan(value) else f"{100 * value:.0f}"
            axes.text(
                column + 0.5, row + 0.53, words, ha="center", va="center", fontsize=SMALL,
                color=PAPER if value > 0.5 * top else INK,
            )  # fmt: skip
        axes.set_ylim(len(sets), 0)
        axes.set_yticks(np.arange(len(sets)) + 0.5, sets)
        axes.set_xticks(np.arange(len(encoders)) + 0.5, encoders)
        axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel("percent of the weight, mean over clips", color=MUTED)
    return figure


def encoder_weights_figure(
    shares: Mapping[str, Mapping[str, float]], *, width_inches: float = WIDE_INCHES
) -> Figure:
    """A dot per encoder and fold, a line over their spread, and a diamond for the final model."""
    encoders = sorted(shares, key=lambda name: -float(np.mean([*shares[name].values()])))
    look = LOOKS["video"]
    with drawing():
        figure = new_figure(width_inches, 0.32 * len(encoders) + 0.85)
        axes = figure.subplots()
        open_frame(axes)
        for row, name in enumerate(encoders):
            folds = [100 * value for where, value in shares[name].items() if where != FINAL]
            axes.plot([min(folds), max(folds)], [row, row], color=look.colour, linewidth=1.2, alpha=0.5)
            axes.plot(
                folds, [row] * len(folds), linestyle="none", marker="o", markersize=5,
                markerfacecolor=PAPER, markeredgecolor=look.colour, label="a fold" if not row else None,
            )  # fmt: skip
            if FINAL in shares[name]:
                axes.plot(
                    100 * shares[name][FINAL], row, linestyle="none", marker="D", markersize=4.5,
                    color=INK, label="the final model" if not row else None,
                )  # fmt: skip
        axes.set_yticks(range(len(encoders)), encoders)
        axes.set_ylim(len(encoders) - 0.5, -0.5)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.set_xlabel("percent of the weight, fitted on inner folds")
        figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=SMALL, handletextpad=0.2)
    return figure
