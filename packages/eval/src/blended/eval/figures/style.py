"""How figures look: one column of ink on white, colours that survive colour blindness and a grey printer.

Every figure takes its width, because a page shows it wide on a desk and narrow on a telephone; text
keeps its size. Colours are those of Okabe and Ito (2008), and never the only difference. `png`, `svg` and
`save` write the same bytes for the same figure.
"""

import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy import ndarray

from blended.data import InputError
from blended.data.atomic import replacing
from blended.eval.run_record import RunRecord

WIDE_INCHES = 6.6
NARROW_INCHES = 3.4
"""About the width of a telephone, at 96 dots per inch."""
INK, MUTED, RULE, PAPER = "#1c1e21", "#5d6470", "#d5d9df", "#ffffff"
SMALL, NORMAL = 7.0, 8.0
"""Sizes of text in points."""
HEAT = LinearSegmentedColormap.from_list(
    "heat", ["#f6f8fa", "#cfe0ee", "#8db8d8", "#3d80b3", "#0b4f8a", "#08306b"]
)
"""Rates from 0: lightness falls steadily, so it reads in grey."""


@dataclass(frozen=True, slots=True)
class Look:
    """Colour and marker of a kind of run."""

    colour: str
    marker: str
    """Of matplotlib."""
    sign: str
    """The same marker as a character."""


LOOKS: dict[str, Look] = {
    "audio": Look("#c2410c", "^", "▲"),
    "video": Look("#0072b2", "s", "■"),
    "multimodal": Look(INK, "D", "◆"),
    "trivial": Look(MUTED, "o", "○"),
}
OTHER = Look("#7a4b94", "o", "●")
"""Any other single modality."""
# Set in full, so that a user's own matplotlibrc does not change a report.
STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": NORMAL,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SMALL,
    "axes.titlesize": NORMAL,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": NORMAL,
    "xtick.major.width": 0.8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "svg.fonttype": "path",
    "svg.hashsalt": "blended",
    "savefig.facecolor": PAPER,
    "text.usetex": False,
    "path.simplify": True,
}
DOTS_PER_INCH = 160


NOTEBOOK_DOTS_PER_INCH = 100


class NotebookFigure(Figure):
    """A figure that a notebook shows, whether or not anybody has imported pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self, dots_per_inch=NOTEBOOK_DOTS_PER_INCH)


@contextmanager
def drawing() -> Generator[None]:
    """The style, for as long as a figure is built or saved."""
    with mpl.rc_context():
        # What others have set in this process, as Optuna does for figures of its own, must not change ours.
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # pyright: ignore[reportArgumentType, reportCallIssue] - keys are checked
        yield


def look_of(record: RunRecord) -> Look:
    """By the modality of a run."""
    return LOOKS.get(record.modality, OTHER)


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """White, its parts laid out so that no label is cut."""
    figure = NotebookFigure(figsize=(width_inches, height_inches), layout="constrained", facecolor=PAPER)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
    return figure


def footnote(figure: Figure, text: str) -> Figure:
    """The figure with a few words in its lower right corner, for when it is seen away from its page."""
    room = 1.4 * SMALL / 72 / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
    figure.text(0.995, 0.004, text, ha="right", va="bottom", fontsize=SMALL - 1, color=MUTED, style="italic")
    return figure


def is_narrow(width_inches: float) -> bool:
    """Whether there is room for a telephone's worth of text only."""
    return bool(width_inches < 5)


def open_frame(axes: Axes, *, grid: bool = True) -> None:
    """Leaves the bottom axis only, with faint vertical lines."""
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis="x", color=RULE, linewidth=0.6, alpha=0.7)


def png(figure: Figure, *, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """A PNG without date or program name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer, before = io.BytesIO(), figure.dpi
    with drawing():
        # Figure.savefig draws twice, once for the layout alone, and the canvas makes the layout anyway.
        figure.set_dpi(dots_per_inch)
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
        figure.set_dpi(before)
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """An SVG with letters as outlines, so that it looks the same everywhere."""
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="svg", dpi=72, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Writes `.png` or `.svg`; raises InputError for another suffix."""
    writers = {".png": png, ".svg": svg}
    if path.suffix not in writers:
        raise InputError(f"cannot write a figure as {path.name!r}: name it .png or .svg")
    with replacing(path) as temporary:
        temporary.write_bytes(writers[path.suffix](figure))


def picture_png(pixels: UInt8[ndarray, "height width 3"]) -> bytes:
    """RGB pixels as they are, one to one."""
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return buffer.getvalue()
