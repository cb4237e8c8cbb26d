"""What a stream attends to: by lag over all clips, and step by step in one clip."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from blended.eval.figures.style import HEAT, INK, MUTED, RULE, SMALL, WIDE_INCHES, drawing, is_narrow
from blended.eval.importance import Attention

TIMES_EVEN = "times even"
MOST_SHOWN = 2
"""Pairs of streams in a figure, from the first layer on."""


def attention_figure(attention: Sequence[Attention], *, width_inches: float = WIDE_INCHES) -> Figure:
    """Per direction: preferred lags of the mean of all heads and of every head, and one clip's weights.

    On a narrow page directions are below each other.
    """
    shown, narrow = list(attention)[:MOST_SHOWN], is_narrow(width_inches)
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
