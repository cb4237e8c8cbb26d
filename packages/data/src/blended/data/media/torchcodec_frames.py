"""The same pictures through torchcodec, where it is installed with an FFmpeg of the system.

Never chosen by itself: it picks the same frames as `read_frames`, but its colours differ by a few levels of
255, and features must not depend on what happens to be installed. `benchmarks/decoding.py` measures whether
it would be faster.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from blended.data.media.frames import check_frames, frame_times
from blended.data.media.probing import survey_pictures
from blended.data.media.records import Frames, MediaError


def why_not() -> str:
    """Why torchcodec cannot be used here; empty if it can."""
    try:
        library = import_module("torchcodec")
    except (ImportError, OSError, RuntimeError) as error:
        return f"torchcodec cannot be loaded: {str(error).strip().splitlines()[0]}"
    # Newer ones can be imported without FFmpeg, for still pictures.
    if getattr(library, "ffmpeg_major_version", 0) is None:
        return "torchcodec cannot be loaded: it finds no FFmpeg of a version that it knows"
    return ""


def read_frames_with_torchcodec(path: Path, rate_hz: float | int | None = None) -> Frames:
    """What `read_frames` gives at the file's own size, decoded and converted by torchcodec.

    Raises MediaError where torchcodec cannot be loaded, and for a file without video or cut off.
    """
    if reason := why_not():
        raise MediaError(f"{reason}: install it with an FFmpeg of your system, or use `read_frames`")
    surveyed = survey_pictures(path)
    info = surveyed.info.video
    if info is None:
        raise MediaError(f"{path} has no video track, expected pictures: give a file with video")
    check_frames(path, info)
    rate_hz, seconds, early = frame_times(info, rate_hz)
    # By number, because it holds that the last frame of a file lasts no time.
    numbers = np.searchsorted(surveyed.frame_seconds, seconds + early, side="left") - 1
    decoders: Any = import_module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)
    values = decoder.get_frames_at(np.maximum(numbers, 0).tolist()).data.numpy()
    return Frames(values, rate_hz, info.start_seconds)
