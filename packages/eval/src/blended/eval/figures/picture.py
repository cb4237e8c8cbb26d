"""A frame of a clip as a PNG."""

import io

from jaxtyping import UInt8
from matplotlib.image import imsave
from numpy import ndarray


def picture_png(pixels: UInt8[ndarray, "height width 3"]) -> bytes:
    """RGB pixels as they are, one to one."""
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return buffer.getvalue()
