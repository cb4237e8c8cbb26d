"""Pictures of a file one after the other, however long it is."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from blended.data.media.opening import opened, require_video, zero_seconds
from blended.data.media.timing import clockwise_degrees


def stream_frames(path: Path, size: tuple[int, int]) -> Generator[tuple[float, NDArray[np.uint8]]]:
    """(seconds on the file's clock, [height, width, 3] upright RGB) of every frame, scaled to `size`.

    `size` is (height, width) of the upright picture. Raises MediaError for a file without video or with
    damage, when it is reached.
    """
    height, width = size
    with opened(path) as container:
        stream = require_video(path, container)
        stream.codec_context.thread_count = 1
        zero = zero_seconds(container)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            turns = clockwise_degrees(frame) // 90
            across, down = (width, height) if turns % 2 == 0 else (height, width)
            scaled = frame.reformat(
                width=across, height=down, format="rgb24", interpolation=int(Interpolation.BILINEAR)
            )
            picture = np.rot90(scaled.to_ndarray(), -turns).astype(np.uint8, copy=False)
            yield float(frame.time - zero), picture
