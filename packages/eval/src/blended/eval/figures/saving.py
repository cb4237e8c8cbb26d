"""Figures as bytes: the same figure gives the same bytes."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from blended.data import InputError
from blended.data.atomic import replacing
from blended.eval.figures.style import drawing

DOTS_PER_INCH = 160


def png(figure: Figure, *, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """A PNG without date or program name."""
    return _saved(figure, "png", dots_per_inch, {"Software": None})


def svg(figure: Figure) -> bytes:
    """An SVG with letters as outlines, so that it looks the same everywhere."""
    return _saved(figure, "svg", 72, {"Date": None, "Creator": None})


def save(figure: Figure, path: Path) -> None:
    """Writes `.png` or `.svg`; raises InputError for another suffix."""
    writers = {".png": png, ".svg": svg}
    if path.suffix not in writers:
        raise InputError(f"cannot write a figure as {path.name!r}: name it .png or .svg")
    with replacing(path) as temporary:
        temporary.write_bytes(writers[path.suffix](figure))


def _saved(figure: Figure, kind: str, dots_per_inch: int, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format=kind, dpi=dots_per_inch, metadata=metadata)
    return buffer.getvalue()
