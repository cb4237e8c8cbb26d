"""All runs in order, with their intervals: what is better, and by how little."""

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from blended.eval.figures.style import (
    INK,
    LOOKS,
    MUTED,
    OTHER,
    PAPER,
    SMALL,
    WIDE_INCHES,
    drawing,
    is_narrow,
    look_of,
    new_figure,
    open_frame,
)
from blended.eval.run_record import RunRecord
from blended.eval.tasks import TASKS

LINE_INCHES = 0.235


def forest_figure(
    runs: Sequence[RunRecord],
    baselines: Sequence[RunRecord],
    tied: Collection[str],
    *,
    ceilings: Mapping[str, float] | None = None,
    width_inches: float = WIDE_INCHES,
) -> Figure:
    """Cross-fold headline, such as the score, of every run with its 95 % interval, the highest at the top.

    Runs and baselines come by falling headline; `tied` names those that cannot be told apart from the top.
    Filled: the top and these; hollow: below it by more than noise. Lines: the best trivial baseline, and
    `ceilings` (label -> score) such as that of an oracle.
    """
    lines = {record.name: record.score for record in baselines[:1]}
    lines |= dict(ceilings or {})
    narrow = is_narrow(width_inches)
    # On a telephone the name stands above its mark; on a desk, beside it.
    height = len(runs) * LINE_INCHES * (1.7 if narrow else 1) + 1.1
    with drawing():
        figure = new_figure(width_inches, height)
        axes = figure.subplots()
        open_frame(axes)
        for row, run in enumerate(runs):
            _mark(axes, len(runs) - 1 - row, run, filled=row == 0 or run.name in tied)
        axes.set_ylim(-0.7, len(runs) - (0.15 if narrow else 0.4))
        low = min([run.headline.span[0] for run in runs] + list(lines.values()))
        axes.set_xlim(left=max(0.0, low - 0.02) if low >= 0 else low - 0.02)
        axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8))
        _reference_lines(axes, lines, narrow)
        _names(axes, runs, narrow)
        axes.set_xlabel(f"cross-fold {TASKS[runs[0].task].headline.words} with 95 % interval")
        _legend(figure, {run.modality for run in runs}, hollow=len(tied) + 1 < len(runs))
    return figure


def _mark(axes: Axes, y: int, run: RunRecord, *, filled: bool) -> None:
    estimate, look = run.headline, look_of(run)
    axes.plot(estimate.span, [y, y], color=look.colour, linewidth=1.4, alpha=0.6, zorder=3)
    axes.plot(
        estimate.value,
        y,
        look.marker,
        color=look.colour,
        markerfacecolor=look.colour if filled else PAPER,
        markeredgewidth=1.2,
        markersize=5.2,
        zorder=4,
    )


def _reference_lines(axes: Axes, lines: Mapping[str, float], narrow: bool) -> None:
    """Dashed, with a label above; one far beyond the runs becomes an arrow, or it would squeeze them."""
    low, high = axes.get_xlim()
    num_rows = max(1, len(lines)) if narrow else 1
    # A blank title keeps the room that the labels take; by themselves they would move the axes.
    axes.set_title("\n".join([" "] * num_rows), fontsize=SMALL, pad=3)
    for row, (label, score) in enumerate(lines.items()):
        beyond = score > high + (high - low) / 2
        if not beyond:
            axes.axvline(score, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
            axes.set_xlim(right=max(axes.get_xlim()[1], score + 0.02 * (high - low)))
        right_half = score > (low + high) / 2
        note = axes.annotate(
            f"{label} {score:.3f}" + (" →" if beyond else ""),
            (1.0, 1.0) if beyond else (score, 1.0),
            xycoords="axes fraction" if beyond else ("data", "axes fraction"),
            xytext=(0 if beyond else -2 if right_half else 2, 3 + 9 * (row % num_rows)),
            textcoords="offset points",
            ha="right" if right_half else "left",
            va="bottom",
            fontsize=SMALL - 0.5,
            color=MUTED,
            annotation_clip=False,
        )
        note.set_in_layout(False)


def _names(axes: Axes, runs: Sequence[RunRecord], narrow: bool) -> None:
    names = [run.name for run in reversed(runs)]
    if not narrow:
        axes.set_yticks(range(len(names)), names)
        for y, run in enumerate(reversed(runs)):
            axes.text(1.01, y, f"{run.score:.3f}", transform=axes.get_yaxis_transform(), va="center",
                      color=MUTED, fontsize=SMALL)  # fmt: skip
        return
    axes.set_yticks([])
    for y, name in enumerate(names):
        axes.annotate(name, (0, y + 0.42), xycoords=("axes fraction", "data"), fontsize=SMALL, color=INK,
                      va="center", bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
                      zorder=5)  # fmt: skip


def _legend(figure: Figure, modalities: set[str], *, hollow: bool) -> None:
    kinds = sorted(modalities, key=lambda kind: (kind != "multimodal", kind))
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=5, linewidth=1.4,
               label=kind if kind == "multimodal" else f"{kind} only")
        for kind, look in ((kind, LOOKS.get(kind, OTHER)) for kind in kinds)
    ]  # fmt: skip
    if hollow:
        below = Line2D([], [], color=MUTED, marker="o", markerfacecolor=PAPER, markersize=5, linewidth=0)
        below.set_label("hollow: below the top")
        handles.append(below)
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=2 if is_narrow(figure.get_figwidth()) else len(handles),
        frameon=False,
        fontsize=SMALL,
        columnspacing=1.4,
    )
