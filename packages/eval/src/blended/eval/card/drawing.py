"""Small drawings as inline SVG: they need no library, no request and no script."""

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 120
BAR, MUTED = "#0b4f8a", "#5d6470"
NUM_BINS = 32


def histogram(values: NDArray[np.float64], title: str) -> str:
    """Counts over 32 equal steps from the lowest to the highest value; `title` is read aloud."""
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=NUM_BINS, range=(low, high if high > low else low + 1))
    step = WIDTH / NUM_BINS
    tops = HEIGHT * (1 - counts / counts.max())
    bars = "".join(
        f'<rect x="{k * step + 1:.1f}" y="{top:.1f}" width="{step - 2:.1f}" height="{HEIGHT - top:.1f}"/>'
        for k, top in enumerate(tops.tolist())
        if top < HEIGHT
    )
    ends = (
        f'<text x="0" y="{HEIGHT + 16}">{low:.2f}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 16}" text-anchor="end">{high:.2f}</text>'
    )
    return _svg(title, HEIGHT + 20, f'<g fill="{BAR}">{bars}</g><g fill="{MUTED}" font-size="12">{ends}</g>')


def waveform(envelope: NDArray[np.float32], title: str) -> str:
    """Between the lowest and the highest sample of every stretch; scaled to the loudest, which is named."""
    peak = float(np.abs(envelope).max()) or 1.0
    middle, scale = HEIGHT / 2, HEIGHT / 2 / peak
    x = np.linspace(0, WIDTH, len(envelope))
    upper = [f"{a:.1f},{middle - scale * b:.1f}" for a, b in zip(x, envelope[:, 1], strict=True)]
    lower = [f"{a:.1f},{middle - scale * b:.1f}" for a, b in zip(x, envelope[:, 0], strict=True)]
    points = " ".join([*upper, *lower[::-1]])
    return _svg(title, HEIGHT, f'<polygon fill="{BAR}" points="{points}"/>')


def _svg(title: str, height: int, inner: str) -> str:
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg" '
        f'style="width:100%;height:auto"><title>{escaped}</title>{inner}</svg>'
    )
