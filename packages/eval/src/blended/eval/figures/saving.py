"""Figures as bytes: the same figure gives the same bytes."""

import io
from pathlib import Path

from jaxtyping import UInt8
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy import ndarray

from blended.data import InputError
from blended.data.atomic import replacing
from blended.eval.figures.style import drawing

DOTS_PER_INCH = 160


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
