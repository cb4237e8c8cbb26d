"""What is known about a media file, and what is read from it.

All times are in seconds on the file's own clock, whose zero is the start of its earliest track: sound
that begins a quarter of a second after the picture starts at 0.25.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError


class MediaError(InputError):
    """A media file that cannot be read as asked; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The chosen video track of a file."""

    codec: str
    """FFmpeg's name: h264, hevc, vp9, ..."""
    width: int
    """Pixels as shown, after rotation; at least 1."""
    height: int
    """Pixels as shown, after rotation; at least 1."""
    fps: float
    """Frames per second, measured from the timestamps (their average where the rate varies); positive."""
    constant_rate: bool | None
    """Whether frames are evenly spaced; None for fewer than three frames."""
    rotation_degrees: int
    """Clockwise turn that shows the picture upright: 0, 90, 180 or 270; `read_frames` has applied it."""
    start_seconds: float
    """When the first frame is shown; 0 for the earliest track of the file."""
    duration_seconds: float
    """From the first to the end of the last frame that is in the file."""
    declared_seconds: float | None
    """What the container says of this track; more than `duration_seconds` in a truncated file."""
    num_frames: int | None
    """Frames as declared by the container; None where it says nothing (Matroska, WebM)."""
    num_tracks: int
    """Video tracks of the file, cover pictures not counted; at least 1."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The chosen audio track of a file."""

    codec: str
    """FFmpeg's name: aac, mp3, flac, pcm_s16le, ..."""
    rate_hz: int
    """Samples per second and channel."""
    channels: int
    """At least 1."""
    start_seconds: float
    """When the first sample sounds; 0 for the earliest track of the file."""
    duration_seconds: float
    """From the first to the end of the last packet that is in the file."""
    declared_seconds: float | None
    """What the container says of this track; more than `duration_seconds` in a truncated file."""
    num_tracks: int
    """Audio tracks of the file; at least 1."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A media file without its contents: the container and its chosen tracks.

    Of several tracks the one flagged as default is chosen, and the first of those.
    """

    container: str
    """FFmpeg's names of the format, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    duration_seconds: float
    """As declared; measured from the tracks where the container says nothing."""
    video: VideoInfo | None
    """None for a file with sound only."""
    audio: AudioInfo | None
    """None for a file with pictures only."""


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Mono sound."""

    values: NDArray[np.float32]
    """[sample], nominally in [-1, 1]; decoders of lossy codecs go beyond it."""
    rate_hz: int
    """Samples per second."""
    start_seconds: float
    """When the first sample sounds on the file's clock."""

    @property
    def duration_seconds(self) -> float:
        """Number of samples over rate."""
        return len(self.values) / self.rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Pictures at even steps of time."""

    values: NDArray[np.uint8]
    """[time, height, width, 3]: red, green, blue in 0 to 255, full range, upright."""
    rate_hz: float | int
    """Frames per second; frame k is shown at `start_seconds + k / rate_hz`."""
    start_seconds: float
    """When the first frame is shown on the file's clock."""

    @property
    def duration_seconds(self) -> float:
        """Number of frames over rate."""
        return len(self.values) / self.rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A track that is decoded piece by piece: sound or pictures, of which no more is there than asked for."""

    pieces: Generator[NDArray[Any]]
    """Values in order, [sample] or [time, height, width, 3], at least one per piece; joined they are those of
    the whole track. Raises MediaError where that cannot be read, which may be at its end."""
    rate_hz: float | int
    """Samples or pictures per second."""
    start_seconds: float
    """When the first one is on, on the file's clock."""
    notes: Mapping[str, int] = field(default_factory=dict[str, int])
    """What was counted on the way, such as `pictures_without_face`; mostly nothing."""
