"""Writing one clip: H.264 and AAC in an MP4 container, through PyAV."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from blended.data.atomic import replacing
from blended.data.demo.light import Picture
from blended.data.demo.performance import VIDEO_RATE_HZ
from blended.data.demo.signatures import Array
from blended.data.demo.voice import AUDIO_RATE_HZ

# One thread: with more, what x264 writes depends on the number of cores. No macroblock tree: with it, the
# same pictures are not always coded the same way, even by one thread of one process.
VIDEO_OPTIONS = {"preset": "veryfast", "crf": "23", "threads": "1", "x264-params": "mbtree=0"}
AUDIO_OPTIONS = {"aac_coder": "fast"}
"""A fifth of the default coder's time; at this bit rate it keeps the spectrum as well."""
AUDIO_BITS_PER_SECOND = 64_000
"""At 64 kbit/s AAC keeps the spectrum within 0.3 dB down to -75 dBFS; at 32 kbit/s it does not."""
AUDIO_BLOCK = 1024


def write(path: Path, pictures: Iterable[Picture], sound: Array, size_px: int) -> None:
    """Writes `path` as a whole or not at all."""
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=VIDEO_RATE_HZ, options=VIDEO_OPTIONS)
        video.width = video.height = size_px
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=AUDIO_RATE_HZ, layout="mono", options=AUDIO_OPTIONS)
        audio.bit_rate = AUDIO_BITS_PER_SECOND
        for number, picture in enumerate(pictures):
            container.mux(video.encode(_video_frame(picture, number)))
        container.mux(video.encode(None))
        for start in range(0, len(sound), AUDIO_BLOCK):
            container.mux(audio.encode(_audio_frame(sound[start : start + AUDIO_BLOCK], start)))
        container.mux(audio.encode(None))


def _video_frame(picture: Picture, number: int) -> av.VideoFrame:
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = number
    frame.time_base = Fraction(1, VIDEO_RATE_HZ)
    return frame


def _audio_frame(samples: Array, start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate = AUDIO_RATE_HZ
    frame.pts = start
    frame.time_base = Fraction(1, AUDIO_RATE_HZ)
    return frame
