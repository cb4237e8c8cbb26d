"""What is measured on one media file: its bytes, its tracks and how loud it is."""

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blended.data.media import AudioInfo, MediaError, VideoInfo, Waveform, probe, read_audio
from blended.data.media.frames import check_frames
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


def measure(path: Path) -> Measurement:
    """Hashes a file, probes it and listens to it. What is wrong with it is part of the answer."""
    if not path.is_file():
        return Measurement(
            None, f"{path} does not exist: it was there when the corpus was read, so restore it"
        )
    sha256 = file_sha256(path)
    try:
        info = probe(path)
        measurement = Measurement(sha256, None, info.container, info.duration_seconds)
        if info.video is not None:
            check_frames(path, info.video)
            measurement = _with_video(measurement, info.video)
        if info.audio is not None:
            measurement = _with_audio(measurement, info.audio, read_audio(path, LISTEN_HZ))
    except MediaError as error:
        return Measurement(sha256, str(error))
    return measurement


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; reads a part at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_video(measurement: Measurement, video: VideoInfo) -> Measurement:
    return replace(
        measurement,
        video_codec=video.codec,
        fps=video.fps,
        constant_rate=video.constant_rate,
        width=video.width,
        height=video.height,
        rotation_degrees=video.rotation_degrees,
        video_seconds=video.duration_seconds,
    )


def _with_audio(measurement: Measurement, audio: AudioInfo, waveform: Waveform) -> Measurement:
    return replace(
        measurement,
        audio_codec=audio.codec,
        rate_hz=audio.rate_hz,
        channels=audio.channels,
        audio_seconds=waveform.duration_seconds,
        loudness_dbfs=loudness_dbfs(waveform.values),
        clipped_share=float(np.mean(np.abs(waveform.values) >= FULL_SCALE)),
        voiced_share=voiced_share(waveform.values, LISTEN_HZ),
    )


def loudness_dbfs(values: NDArray[np.float32]) -> float:
    """Root mean square of [sample] in dB of full scale, at least -120.

    >>> round(loudness_dbfs(np.full(100, 0.1, np.float32)), 3)
    -20.0
    """
    power = float(np.mean(values.astype(np.float64) ** 2))
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power > 0 else SILENCE_DBFS
