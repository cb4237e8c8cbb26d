"""Writing a video with sound that every player plays: H.264 and AAC in MP4."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from blended.data.atomic import replacing
from blended.data.media.records import MediaError, Waveform

TICKS_PER_SECOND = 90000
VIDEO_OPTIONS = {"preset": "veryfast", "crf": "23", "threads": "1"}
AUDIO_BLOCK = 1024


def write_video(
    path: Path,
    pictures: Iterable[tuple[float, NDArray[np.uint8]]],
    size: tuple[int, int],
    sound: Waveform | None = None,
) -> None:
    """Writes (seconds, [height, width, 3] RGB) pictures, and mono sound, as a whole or not at all.

    `size` is (height, width), both even. Pictures keep their times, which ascend. Raises MediaError for a
    name that does not end in .mp4.
    """
    if path.suffix.lower() != ".mp4":
        raise MediaError(f"a video is written as .mp4, got the name {path.name!r}: call it {path.stem}.mp4")
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=25, options=VIDEO_OPTIONS)
        video.height, video.width = size
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=sound.rate_hz, layout="mono")
        for seconds, picture in pictures:
            container.mux(video.encode(_video_frame(picture, seconds)))
        container.mux(video.encode(None))
        if sound is not None and audio is not None:
            for start in range(0, len(sound.values), AUDIO_BLOCK):
                container.mux(audio.encode(_audio_frame(sound, start)))
            container.mux(audio.encode(None))


def _video_frame(picture: NDArray[np.uint8], seconds: float) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame.pts = round(seconds * TICKS_PER_SECOND)
    frame.time_base = Fraction(1, TICKS_PER_SECOND)
    return frame


def _audio_frame(sound: Waveform, start: int) -> av.AudioFrame:
    values = np.ascontiguousarray(sound.values[None, start : start + AUDIO_BLOCK])
    frame = av.AudioFrame.from_ndarray(values, format="fltp", layout="mono")
    frame.sample_rate = sound.rate_hz
    frame.pts = round(sound.start_seconds * sound.rate_hz) + start
    frame.time_base = Fraction(1, sound.rate_hz)
    return frame
