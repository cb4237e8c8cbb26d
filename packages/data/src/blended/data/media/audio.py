"""Reading sound: one track, mixed to mono, at the rate that is asked for."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from blended.data.media.opening import begins_as_mov, opened, read_only, require_audio, zero_seconds
from blended.data.media.probing import check_complete, declared_seconds
from blended.data.media.records import MediaError, Waveform

# A hole in the timestamps is filled with silence from this length; below it lies rounding to ticks.
HOLE_SECONDS = 0.05

# A longer hole is a broken clock: filling it would fill the memory.
MAX_HOLE_SECONDS = 600.0

# Sounds that decode from what the header of an MP4 says: others are split into packets by a parser.
SAID_BY_HEADERS = ("aac",)

# Encoders declare up to a few packets of padding beyond what decodes.
PADDING_SECONDS = 0.1
PADDING_PACKETS = 3


def read_audio(path: Path, rate_hz: int, *, track: int = 0) -> Waveform:
    """The sound of a file: channels averaged, resampled to `rate_hz` (soxr, high quality), in float32.

    `track` counts audio tracks from 0, the one flagged as default first. A hole in the timestamps becomes
    silence, so that a sample's place is its time. Raises MediaError for a file that cannot be read, has no
    such track, or holds less sound than its header declares.
    """
    return hear(Path(path), rate_hz, track=track).sound


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A sound as asked for, and what its decoder gave."""

    sound: Waveform
    native_hz: int
    """Samples per second and channel as decoded."""
    channels: int
    """As decoded; at least 1."""


def hear(path: Path, rate_hz: int, *, track: int = 0) -> Heard:
    """What `read_audio` gives, with the rate and channels that it was made from; raises as that."""
    if rate_hz < 1:
        raise MediaError(f"sound was asked for at {rate_hz} Hz, expected a positive rate such as 16000")
    try:
        heard = _hear(path, rate_hz, track, headers_only=True) if begins_as_mov(path) else None
    except MediaError:
        heard = None  # the thorough way finds the words
    found = _hear(path, rate_hz, track, headers_only=False) if heard is None else heard
    assert found is not None
    return found


def _hear(path: Path, rate_hz: int, track: int, *, headers_only: bool) -> Heard | None:
    """None for a track of which the header does not say enough to decode it."""
    with opened(path, headers_only=headers_only) as container:
        stream = require_audio(path, container, track)
        if headers_only and stream.codec_context.name not in SAID_BY_HEADERS:
            return None
        read_only(container, [stream])
        stream.codec_context.thread_count = 1
        native, longest = _decode(path, container, stream)
        channels = stream.codec_context.channels
        start_seconds = max(0.0, native.start_seconds - zero_seconds(container))
        declared = declared_seconds(stream, start_seconds)
    allowed = max(PADDING_SECONDS, PADDING_PACKETS * longest / native.rate_hz)
    check_complete(path, "sound", native.duration_seconds, declared, allowed)
    values = _without_padding(native, declared, longest)
    sound = Waveform(_resample(values, native.rate_hz, rate_hz), rate_hz, start_seconds)
    return Heard(sound, native.rate_hz, channels)


def _without_padding(native: Waveform, declared: float | None, longest: int) -> NDArray[np.float32]:
    """[sample] up to the declared end: lossy codecs fill their last packet."""
    end = len(native.values) if declared is None else round(declared * native.rate_hz)
    return native.values[:end] if len(native.values) - end <= PADDING_PACKETS * longest else native.values


def _decode(path: Path, container: InputContainer, stream: AudioStream) -> tuple[Waveform, int]:
    """The track at its own rate and on the container's clock, and the samples of its longest packet."""
    pieces: list[NDArray[np.float32]] = []
    num_samples, rate_hz, start_seconds = 0, 0, 0.0
    for frame in container.decode(stream):
        if not rate_hz:
            rate_hz, start_seconds = frame.sample_rate, frame.time or 0.0
        if frame.sample_rate != rate_hz:
            raise MediaError(
                f"{path} changes its sampling rate from {rate_hz} to {frame.sample_rate} Hz in mid-track, "
                f"expected one rate: convert it to a fixed rate first"
            )
        hole = _hole(path, frame, start_seconds + num_samples / rate_hz)
        pieces += [np.zeros(hole, np.float32), to_mono(frame)] if hole else [to_mono(frame)]
        num_samples += hole + frame.samples
    if not num_samples:
        raise MediaError(f"{path} has an audio track without a sample: it is cut off, so copy it again")
    longest = max(len(piece) for piece in pieces)
    return Waveform(np.concatenate(pieces), rate_hz, start_seconds), longest


def _hole(path: Path, frame: av.AudioFrame, expected_seconds: float) -> int:
    """Samples that are missing before a frame."""
    missing_seconds = 0.0 if frame.time is None else frame.time - expected_seconds
    if missing_seconds > MAX_HOLE_SECONDS:
        raise MediaError(
            f"{path} jumps {missing_seconds:.0f} seconds ahead in its sound, expected holes of at most "
            f"{MAX_HOLE_SECONDS:.0f}: its timestamps are broken, so convert it anew"
        )
    return round(missing_seconds * frame.sample_rate) if missing_seconds > HOLE_SECONDS else 0


def to_mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    """The mean over channels as [sample] in [-1, 1], from any sample format."""
    if frame.format.name in ("flt", "fltp") and len(frame.layout.channels) == 1:
        return np.frombuffer(bytes(frame.planes[0]), np.float32, frame.samples)  # the same, but quicker
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(frame.samples, -1).T
    scaled = values[0].astype(np.float64) if len(values) == 1 else values.mean(axis=0, dtype=np.float64)
    if values.dtype == np.uint8:
        scaled = (scaled - 128) / 128
    elif values.dtype.kind == "i":
        scaled /= 2.0 ** (8 * values.dtype.itemsize - 1)
    return scaled.astype(np.float32)


def _resample(values: NDArray[np.float32], native_hz: int, rate_hz: int) -> NDArray[np.float32]:
    """[sample] at another rate; its length is that of the input to a sample."""
    if native_hz == rate_hz:
        return values
    wanted = max(1, round(len(values) * rate_hz / native_hz))
    resampled = soxr.resample(values, native_hz, rate_hz, quality="HQ").astype(np.float32, copy=False)
    return np.pad(resampled[:wanted], (0, max(0, wanted - len(resampled))))
