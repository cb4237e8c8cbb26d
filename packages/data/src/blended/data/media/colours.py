"""From a decoded frame to its upright picture in red, green and blue."""

import functools
from typing import Any, cast

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from blended.data.media.timing import clockwise_degrees

# swscale's default is off by up to 3 of 255 (white becomes 254 or less); these are exact to rounding.
EXACT = int(Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)

# A sixth of the time, where nothing is scaled: a colour is a sum of two or, if green, three parts, each of
# which is rounded down.
ROUNDED_DOWN = int(Interpolation.BILINEAR)

QUICK_WITHIN = (1.01, 2.01, 1.01)
"""Levels of red, green and blue that a quick conversion may be off by; else the exact one is taken."""

MATRICES = {5: (0.299, 0.114), 1: (0.2126, 0.0722)}
"""FFmpeg's number of a matrix -> share of red and of blue in luma (ITU-R BT.601, BT.709)."""

CHECKED = (*MATRICES, 2, 6)
"""FFmpeg's numbers of these matrices: 6 is BT.601 by another name, and what is not said (2) is read as it."""

LIMITED = (0, 1)
"""FFmpeg's numbers of a range of colours that is not said, and of 16 to 235."""

ROWS_AT_ONCE = 32
"""Copied together: what lies in the processor's cache need not be fetched twice."""


class Painter:
    """Makes pictures of the frames of one file. What a conversion has to prepare, it prepares once."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def paint(self, frame: av.VideoFrame, picture: NDArray[np.uint8]) -> None:
        """Fills `picture`, [height, width, 3] upright RGB, with the frame scaled to its size.

        Exact to rounding by the frame's own matrix and range, chroma interpolated. Frames of the usual kind
        (8 bits, 4:2:0, limited range) that keep their size are within 1 level of 255, green within 2, each
        pixel with the chroma of its block of four.
        """
        turns = clockwise_degrees(frame) // 90
        height, width = picture.shape[:2] if turns % 2 == 0 else picture.shape[1::-1]
        if (frame.height, frame.width) == (height, width) and _may_be_quick(frame) and quick_is_right():
            _copy_rounded(np.rot90(rounded_down(frame, self._reformatter), -turns), picture)
            return
        # The same bytes as rgb24, in half the time: exact colours are written plane by plane.
        scaled = self._reformatter.reformat(frame, width, height, "gbrp", interpolation=EXACT, threads=1)
        for channel, plane in zip((1, 2, 0), scaled.planes, strict=True):
            picture[..., channel] = np.rot90(_rows(plane)[:, :width], -turns)


def _may_be_quick(frame: av.VideoFrame) -> bool:
    # An odd height takes another, less exact way through swscale.
    usual = frame.format.name == "yuv420p" and frame.color_range in LIMITED and frame.colorspace in CHECKED
    return usual and frame.height % 2 == 0


def rounded_down(frame: av.VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """[height, width, 3] of a frame as it lies, up to 2 levels too dark, green up to 3."""
    packed = reformatter.reformat(frame, format="rgb24", interpolation=ROUNDED_DOWN, threads=1)
    rows = _rows(packed.planes[0])[:, : 3 * packed.width]
    return rows.reshape(packed.height, packed.width, 3)


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    """[row, byte] with what pads the rows."""
    # A plane lends its memory, which its types do not say.
    return np.frombuffer(cast(Any, plane), np.uint8).reshape(-1, plane.line_size)


def _copy_rounded(dark: NDArray[np.uint8], picture: NDArray[np.uint8]) -> None:
    """One level more, up to 255, centres the errors of what was rounded down."""
    for top in range(0, len(picture), ROWS_AT_ONCE):
        rows = dark[top : top + ROWS_AT_ONCE]
        np.add(rows, (rows < 255).view(np.uint8), out=picture[top : top + ROWS_AT_ONCE])


@functools.cache
def quick_is_right() -> bool:
    """Whether the quick conversion keeps to its bounds here: swscale has one for each kind of processor."""
    reformatter = VideoReformatter()
    for number in MATRICES:
        frame, colours = chart(number)
        picture = np.empty(colours.shape, np.uint8)
        _copy_rounded(rounded_down(frame, reformatter), picture)
        if (abs(picture - colours).max(axis=(0, 1)) > QUICK_WITHIN).any():
            return False
    return True


def chart(matrix: int) -> tuple[av.VideoFrame, NDArray[np.float64]]:
    """A frame of many colours, and what they are by the definition: [height, width, 3] RGB in 0 to 255."""
    red, blue = MATRICES[matrix]
    luma = np.arange(16, 236, 3)[:, None, None]
    cb, cr = np.arange(16, 241, 16)[:, None], np.arange(16, 241, 16)
    values = np.broadcast_arrays(luma, cb, cr)
    planes = [part.reshape(len(luma), -1).astype(np.uint8) for part in values]
    planes[0] = planes[0].repeat(2, 0).repeat(2, 1)
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.colorspace, frame.color_range = matrix, 1
    for plane, part in zip(frame.planes, planes, strict=True):
        padded = np.zeros((part.shape[0], plane.line_size), np.uint8)
        padded[:, : part.shape[1]] = part
        plane.update(padded.tobytes())
    y, b, r = (luma - 16) / 219, 2 * (1 - blue) * (cb - 128) / 224, 2 * (1 - red) * (cr - 128) / 224
    g = -(red * r + blue * b) / (1 - red - blue)
    colours = np.stack([part.reshape(len(luma), -1) for part in np.broadcast_arrays(y + r, y + g, y + b)], -1)
    return frame, (255 * colours).clip(0, 255).repeat(2, 0).repeat(2, 1)
