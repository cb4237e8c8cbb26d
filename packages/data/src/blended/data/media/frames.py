"""Reading pictures at even steps of time, whatever the spacing of the frames in the file."""

import math
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from blended.data.media.colours import Painter
from blended.data.media.opening import begins_as_mov, opened, require_video, zero_seconds
from blended.data.media.probing import check_complete, survey_pictures
from blended.data.media.records import Frames, MediaError, VideoInfo

# A frame counts as shown this long before its time, up to a quarter of a frame: timestamps are rounded to
# ticks (1 ms in Matroska) and cameras jitter.
EARLY_SECONDS = 0.004

# Frames that may be missing at the end before a file is called cut off.
PADDING_FRAMES = 2.5

Change = Callable[[float, NDArray[np.uint8]], NDArray[np.uint8]]
"""From the seconds of a step and the upright picture at its own size to the picture to keep."""


def read_frames(
    path: Path,
    rate_hz: float | int | None = None,
    *,
    size: tuple[int, int] | None = None,
    change: Change | None = None,
) -> Frames:
    """The pictures of a file at `rate_hz` frames per second: the one on screen at each step.

    Frames are chosen by their timestamps, so a varying frame rate gives even steps; `None` keeps the
    file's own (average) rate. `size` is (height, width) of the upright picture, scaled without keeping the
    aspect ratio; `None` keeps the size. `change` makes what is kept from each whole picture, instead of
    scaling it, and has to give pictures of `size`; no more than one whole picture is in memory. Only frames
    that are kept are converted. Raises MediaError for a file that cannot be read, has no video, or ends
    before its header declares.
    """
    path = Path(path)
    if rate_hz is not None and not rate_hz > 0:
        raise MediaError(f"frames were asked for at {rate_hz} Hz, expected a positive rate such as 25")
    surveyed = survey_pictures(path)
    info = surveyed.info.video
    if info is None:
        raise _no_frames(path)
    check_frames(path, info)
    rate_hz, grid, early = frame_times(info, rate_hz)
    values = np.empty((len(grid), *(size or (info.height, info.width)), 3), np.uint8)
    last_seconds = _fill(path, grid + early, _keeper(values, grid, info, change))
    check_complete(path, "video", last_seconds, float(surveyed.frame_seconds[-1]), PADDING_FRAMES / info.fps)
    return Frames(values, rate_hz, info.start_seconds)


def check_frames(path: Path, info: VideoInfo) -> None:
    """Raises MediaError if the file ends before its last frames; decodes nothing."""
    check_complete(path, "video", info.duration_seconds, info.declared_seconds, PADDING_FRAMES / info.fps)


def _no_frames(path: Path) -> MediaError:
    with opened(path) as container:
        require_video(path, container)
    return MediaError(
        f"{path} has a video track without a frame: it is cut off, so copy or download it again"
    )


def frame_times(
    info: VideoInfo, rate_hz: float | int | None
) -> tuple[float | int, NDArray[np.float64], float]:
    """The rate, the seconds at which a frame is wanted, and how much before its time a frame may be shown.

    The [time] seconds go from the first frame to before the end of the last.
    """
    rate_hz = info.fps if rate_hz is None else rate_hz
    early = min(EARLY_SECONDS, 0.25 / info.fps)
    num_frames = max(1, math.ceil((info.duration_seconds - early) * rate_hz))
    return rate_hz, info.start_seconds + np.arange(num_frames) / rate_hz, early


def _keeper(
    values: NDArray[np.uint8], grid: NDArray[np.float64], info: VideoInfo, change: Change | None
) -> Callable[[av.VideoFrame, int, int], None]:
    """What puts a frame into the steps from one to before another."""

    painter = Painter()

    def scale(frame: av.VideoFrame, first: int, end: int) -> None:
        painter.paint(frame, values[first])
        values[first + 1 : end] = values[first]

    def cut(frame: av.VideoFrame, first: int, end: int) -> None:
        whole = np.empty((info.height, info.width, 3), np.uint8)
        painter.paint(frame, whole)
        for step in range(first, end):
            values[step] = change(float(grid[step]), whole) if change else whole

    return cut if change else scale


def _fill(path: Path, wanted: NDArray[np.float64], keep: Callable[[av.VideoFrame, int, int], None]) -> float:
    """Decodes once and keeps what is on screen at the wanted seconds, which ascend.

    Returns the start of the last frame in seconds.
    """
    done, shown, seconds = 0, None, 0.0
    # What a decoder has to say about its track, it says again with every frame.
    with opened(path, headers_only=begins_as_mov(path)) as container:
        stream = require_video(path, container)
        # One thread decodes small clips fastest beside other worker processes, and always the same way.
        stream.codec_context.thread_count = 1
        zero = zero_seconds(container)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            seconds = frame.time - zero
            until = int(np.searchsorted(wanted, seconds))
            if until > done and shown is not None:
                keep(shown, done, until)
                done = until
            shown = frame
        if shown is None:
            raise MediaError(f"{path} has a video track of which no frame decodes: copy or download it again")
        if done < len(wanted):
            keep(shown, done, len(wanted))
        return seconds
