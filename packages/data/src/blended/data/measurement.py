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
from blended.data.media.frames import Picture, check_frames, first_picture
from blended.data.media.opening import check_boxes
from blended.data.media.probing import glance

LISTEN_HZ = 16000
SILENCE_DBFS = -120.0
"""The loudness of digital silence, and the lowest that is stored."""
FULL_SCALE = 0.999


FRAME_SECONDS = 0.04
"""Two periods and more of the lowest pitch."""
LOWEST_HZ, HIGHEST_HZ = 70.0, 500.0

VOICED_ABOVE = 0.5
"""Peak of the normalised autocorrelation; white noise stays below 0.35 in almost every frame."""

# Enough for a pitch and its first harmonics; it halves the work and keeps hiss out.
ENOUGH_HZ = 8000

# Relative to the loudest frame: the hum of a quiet room has a pitch, too.
QUIETER_BY_DB = 40.0
# Digital silence and its rounding.
FLOOR_POWER = 1e-11


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
    """Time in which a pitch of 70 to 500 Hz is heard, in [0, 1] (see `voiced_share`)."""

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


def voiced_share(values: NDArray[np.float32], rate_hz: int) -> float:
    """Share of 40 ms frames of [sample] in which a pitch is heard, in [0, 1].

    A frame is voiced where its autocorrelation, divided by its energy and by the overlap that is left at a
    lag, has a local maximum above 0.5 between 2 ms (500 Hz) and 14 ms (70 Hz), and where it is not 40 dB
    below the loudest frame. After Boersma (1993), without interpolation and without a path over frames: good
    for finding recordings without a voice, not for following a pitch.

    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    >>> voiced_share(tone, 16000), voiced_share(np.zeros(16000, np.float32), 16000)
    (1.0, 0.0)
    """
    step = max(1, rate_hz // ENOUGH_HZ)
    values = _averaged(values, step)
    rate_hz //= step
    length = round(FRAME_SECONDS * rate_hz)
    num_frames = len(values) // length
    if not num_frames:
        return 0.0
    frames = values[: num_frames * length].reshape(num_frames, length)
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = (frames**2).mean(axis=1)
    loud = (power > FLOOR_POWER) & (power > power.max() * 10 ** (-QUIETER_BY_DB / 10))
    return float(np.count_nonzero(_has_pitch(frames[loud], rate_hz)) / num_frames) if loud.any() else 0.0


def _averaged(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """[sample // step] means of every `step` samples; numpy takes ten times as long over so short an axis."""
    whole = values[: len(values) // step * step]
    parts = np.stack([whole[start::step] for start in range(step)])
    return parts.sum(axis=0, dtype=np.float32) / np.float32(step)


def _has_pitch(frames: NDArray[np.float32], rate_hz: int) -> NDArray[np.bool_]:
    """[frame] from [frame, sample], none of them silent."""
    import scipy.fft  # as slow to import as everything else that an index needs

    length = frames.shape[1]
    shortest, longest = int(rate_hz / HIGHEST_HZ), int(rate_hz / LOWEST_HZ)
    # Zeros up to the longest lag keep the end of a frame from meeting its beginning.
    size = scipy.fft.next_fast_len(length + longest + 1, real=True)
    spectrum = np.asarray(scipy.fft.rfft(frames, n=size, axis=1))
    correlation = np.asarray(scipy.fft.irfft(spectrum * spectrum.conj(), n=size, axis=1))
    overlap = 1 - np.arange(longest + 2) / length
    similar = correlation[:, : longest + 2] / (correlation[:, :1] * overlap)
    inner = similar[:, shortest : longest + 1]
    peak = (inner >= similar[:, shortest - 1 : longest]) & (inner >= similar[:, shortest + 1 : longest + 2])
    return (peak & (inner > VOICED_ABOVE)).any(axis=1)
