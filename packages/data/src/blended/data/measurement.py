"""What is measured on one media file: its bytes, its tracks and how loud it is."""

import math
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blended.data.checksums import file_sha256
from blended.data.media import MediaError
from blended.data.media.audio import Heard, hear
from blended.data.media.boxes import check_boxes
from blended.data.media.first_picture import Picture, first_picture
from blended.data.media.frames import check_frames
from blended.data.media.probing import glance
from blended.data.voicing import voiced_share

LISTEN_HZ = 16000
SILENCE_DBFS = -120.0
"""The loudness of digital silence, and the lowest that is stored."""
FULL_SCALE = 0.999


@dataclass(frozen=True, slots=True)
class Measurement:
    """One media file as found; everything about its tracks is None where it cannot be read."""

    sha256: str | None
    """Of the file's bytes, in hex; None for a file that is not there."""
    problem: str | None
    """Why the file cannot be used; None for one that can."""
    container: str | None = None
    """FFmpeg's names of the format."""
    duration_seconds: float | None = None
    """As declared by the container."""
    video_codec: str | None = None
    """FFmpeg's name; None without video, like every field down to `video_seconds`."""
    fps: float | None = None
    """Frames per second, measured."""
    constant_rate: bool | None = None
    """Whether frames are evenly spaced."""
    width: int | None = None
    """Pixels, upright."""
    height: int | None = None
    """Pixels, upright."""
    rotation_degrees: int | None = None
    """Clockwise turn to be upright: 0, 90, 180 or 270."""
    video_seconds: float | None = None
    """Length of the video track."""
    audio_codec: str | None = None
    """FFmpeg's name; None without audio, like every field below."""
    rate_hz: int | None = None
    """Samples per second."""
    channels: int | None = None
    """At least 1."""
    audio_seconds: float | None = None
    """Length of the decoded sound."""
    loudness_dbfs: float | None = None
    """Root mean square of the mono mix at 16 kHz, in dB of full scale, from -120; about -3 is a full sine."""
    clipped_share: float | None = None
    """Samples of that mix at full scale, in [0, 1]."""
    voiced_share: float | None = None
    """Time in which a pitch of 70 to 500 Hz is heard, in [0, 1] (see `voicing`)."""

    @property
    def is_seen(self) -> bool:
        """Whether there is no picture left to look at."""
        return self.problem is not None or self.video_codec is None or self.rotation_degrees is not None

    @property
    def is_heard(self) -> bool:
        """Whether there is no sound left to listen to."""
        return self.problem is not None or self.audio_codec is None or self.audio_seconds is not None


def measure(path: Path) -> Measurement:
    """Hashes a file, probes it and decodes what must be. What is wrong with it is part of the answer."""
    return decode(path, inspect(path))


def inspect(path: Path, known: Container[str] = ()) -> Measurement:
    """Hashes and probes a file; of its picture's place and its sound it says what the header says.

    Of a file whose content is `known` (by `content_key`) nothing but its hash is found out.
    """
    try:
        sha256 = file_sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return Measurement(
            None, f"{path} does not exist: it was there when the corpus was read, so restore it"
        )
    if known and content_key(sha256, path) in known:
        return Measurement(sha256, None)
    try:
        check_boxes(path)
        info = glance(path)
        if info.video is not None:
            check_frames(path, info.video)
    except MediaError as error:
        return Measurement(sha256, str(error))
    video, audio = info.video, info.audio
    return Measurement(
        sha256,
        None,
        container=info.container,
        duration_seconds=info.duration_seconds,
        video_codec=video and video.codec,
        fps=video and video.fps,
        constant_rate=video and video.constant_rate,
        width=video and video.width,
        height=video and video.height,
        video_seconds=video and video.duration_seconds,
        audio_codec=audio and audio.codec,
        rate_hz=audio and audio.rate_hz,
        channels=audio and audio.channels,
    )


def decode(path: Path, inspected: Measurement) -> Measurement:
    """What `inspect` found, with what the first picture and all of the sound say.

    What cannot be decoded is the file's problem.
    """
    found = inspected
    try:
        if not found.is_seen:
            found = _seen(found, first_picture(path))
        if not found.is_heard:
            found = _heard(found, hear(path, LISTEN_HZ))
    except MediaError as error:
        return Measurement(inspected.sha256, str(error))
    return found


def _seen(inspected: Measurement, picture: Picture) -> Measurement:
    return replace(
        inspected,
        width=picture.width,
        height=picture.height,
        rotation_degrees=picture.rotation_degrees,
    )


def _heard(inspected: Measurement, heard: Heard) -> Measurement:
    values = heard.sound.values
    return replace(
        inspected,
        # A header may hide the upper half of a sound; its decoder does not.
        rate_hz=heard.native_hz,
        channels=heard.channels,
        audio_seconds=heard.sound.duration_seconds,
        loudness_dbfs=loudness_dbfs(values),
        clipped_share=float(np.count_nonzero(np.abs(values) >= FULL_SCALE) / len(values)),
        voiced_share=voiced_share(values, LISTEN_HZ),
    )


def content_key(sha256: str, path: Path) -> str:
    """What stands for the bytes of a file; its suffix is a hint to whoever opens it."""
    return f"{sha256}{path.suffix.lower()}"


def loudness_dbfs(values: NDArray[np.float32]) -> float:
    """Root mean square of [sample] in dB of full scale, at least -120.

    >>> round(loudness_dbfs(np.full(100, 0.1, np.float32)), 3)
    -20.0
    """
    power = float(np.mean(values.astype(np.float64) ** 2))
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power > 0 else SILENCE_DBFS
