"""What a run relies on: encoders and predictors, weights of fusion, who attends to whom."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from blended.eval.estimate import Estimate
from blended.eval.figures.style import (
    HEAT,
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
from blended.eval.run_record import ALL, Attention, Importance

MOST_ROWS = 12
"""Predictors in a figure; those with the largest loss over all clips."""
FINAL = "final"
"""In place of a fold: of the model for new clips."""
TIMES_EVEN = "times even"
MOST_DIRECTIONS = 2
"""Pairs of streams in a figure, from the first layer on."""


def pairs_in(importance: Importance) -> list[str]:
    """Every pair, in the order in which they first occur."""
    return list(dict.fromkeys(pair for by_pair in importance.values() for pair in by_pair))


def largest(importance: Importance, most: int = MOST_ROWS) -> Importance:
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


def attention_figure(attention: Sequence[Attention], *, width_inches: float = WIDE_INCHES) -> Figure:
    """Per direction: preferred lags of the mean of all heads and of every head, and one clip's weights.

    On a narrow page directions are below each other.
    """
    shown, narrow = list(attention)[:MOST_DIRECTIONS], is_narrow(width_inches)
    heads = max(len(one.preference) for one in shown)
    height = 3.3 + (0.13 * heads + 0.4 if heads > 1 else 0)
    with drawing():
        figure = Figure(figsize=(width_inches, height * (len(shown) if narrow else 1)), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
        parts = figure.subfigures(
            len(shown) if narrow else 1, 1 if narrow else len(shown), squeeze=False
        ).ravel()
        for part, one in zip(parts, shown, strict=True):
            _draw_direction(part, one)
    return figure


def _draw_direction(part: SubFigure, one: Attention) -> None:
    with_heads = len(one.preference) > 1
    ratios = [1.0, *([0.13 * len(one.preference) + 0.35] if with_heads else []), 2.0]
    rows = list(part.subplots(len(ratios), 1, height_ratios=ratios))
    part.suptitle(
        f"{one.asking} attends to {one.answering}, layer {one.layer}", fontsize=SMALL + 1, color=INK
    )
    _draw_mean(rows[0], one)
    if with_heads:
        _draw_heads(rows[1], one)
        rows[0].tick_params(labelbottom=False)
        rows[0].set_xlabel("")
    _draw_example(rows[-1], one)


def _draw_mean(axes: Axes, one: Attention) -> None:
    axes.axhline(1, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.axvline(0, color=RULE, linewidth=0.8)
    axes.plot(one.lags_seconds, np.mean(one.preference, axis=0), color=INK, linewidth=1.4)
    axes.set_ylim(bottom=0)
    axes.set_xlim(one.lags_seconds[0], one.lags_seconds[-1])
    axes.set_ylabel(TIMES_EVEN)
    axes.set_xlabel(f"seconds by which {one.answering} is later")
    axes.tick_params(axis="y", labelsize=SMALL)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)


def _draw_heads(axes: Axes, one: Attention) -> None:
    """Darker is more; the same lags as above."""
    values = np.array(one.preference)
    lags = np.array(one.lags_seconds)
    step = float(lags[1] - lags[0]) if len(lags) > 1 else 1.0
    edges = np.append(lags - step / 2, lags[-1] + step / 2)
    drawn = axes.pcolormesh(edges, np.arange(len(values) + 1), values, cmap=HEAT, vmin=0)
    axes.set_ylim(len(values), 0)
    axes.set_xlim(lags[0], lags[-1])
    axes.set_yticks(np.arange(len(values)) + 0.5, [str(head + 1) for head in range(len(values))])
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.set_ylabel("head")
    axes.set_xlabel(f"seconds by which {one.answering} is later")
    _scale(axes, drawn, TIMES_EVEN)


def _draw_example(axes: Axes, one: Attention) -> None:
    if not len(one.example):
        axes.set_axis_off()
        return
    drawn = axes.pcolormesh(
        one.answering_seconds, one.asking_seconds, 100 * np.array(one.example), cmap=HEAT, vmin=0,
        shading="nearest",
    )  # fmt: skip
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.set_ylabel(f"seconds, {one.asking}")
    axes.set_xlabel(f"seconds, {one.answering}: {one.clip_id}")
    _scale(axes, drawn, "percent")


def _scale(axes: Axes, drawn: object, label: str) -> None:
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.01, aspect=12)  # pyright: ignore[reportArgumentType]
    bar.set_label(label, fontsize=SMALL, color=MUTED)
    bar.ax.tick_params(labelsize=SMALL - 1, length=2)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
