"""Reading sound: one track, mixed to mono, at the rate that is asked for."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import cast

import av
import numpy as np
import soxr
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from blended.data.media.opening import begins_as_mov, opened, read_only, require_audio, zero_seconds
from blended.data.media.probing import check_complete, declared_seconds
from blended.data.media.records import MediaError, Reading, Waveform

QUALITY = "HQ"
"""Of soxr."""

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
    rate_hz, start_seconds, pieces = _begin(path, container, stream)
    values = [*pieces]
    if not sum(len(piece) for piece in values):
        raise _silent(path)
    return Waveform(np.concatenate(values), rate_hz, start_seconds), max(len(piece) for piece in values)


def _begin(
    path: Path, container: InputContainer, stream: AudioStream
) -> tuple[int, float, Iterator[NDArray[np.float32]]]:
    """The track's own rate, its start on the container's clock, and its samples, packet by packet."""
    frames = container.decode(stream)
    first = next(frames, None)
    if first is None:
        raise _silent(path)
    rate_hz, start_seconds = first.sample_rate, first.time or 0.0
    return rate_hz, start_seconds, _packets(path, chain([first], frames), rate_hz, start_seconds)


def _silent(path: Path) -> MediaError:
    return MediaError(f"{path} has an audio track without a sample: it is cut off, so copy it again")


def _packets(
    path: Path, frames: Iterable[av.AudioFrame], rate_hz: int, start_seconds: float
) -> Generator[NDArray[np.float32]]:
    """[sample] of one frame after the other, and silence where some are missing."""
    num_samples = 0
    for frame in frames:
        if frame.sample_rate != rate_hz:
            raise MediaError(
                f"{path} changes its sampling rate from {rate_hz} to {frame.sample_rate} Hz in mid-track, "
                f"expected one rate: convert it to a fixed rate first"
            )
        hole = _hole(path, frame, start_seconds + num_samples / rate_hz)
        if hole:
            yield np.zeros(hole, np.float32)
        yield to_mono(frame)
        num_samples += hole + frame.samples


def stream_audio(path: Path, rate_hz: int) -> Reading:
    """What `read_audio` gives of the first track, to the bit, piece by piece.

    Raises MediaError where that does, and where only a second, thorough reading would help: whoever meets one
    in mid-track asks `read_audio`, which has the last word.
    """
    path = Path(path)
    if rate_hz < 1:
        raise MediaError(f"sound was asked for at {rate_hz} Hz, expected a positive rate such as 16000")
    try:
        reading = _reading(path, rate_hz, headers_only=True) if begins_as_mov(path) else None
    except MediaError:
        reading = None  # the thorough way finds the words
    found = _reading(path, rate_hz, headers_only=False) if reading is None else reading
    assert found is not None
    return found


def _reading(path: Path, rate_hz: int, *, headers_only: bool) -> Reading | None:
    """None for a track of which the header does not say enough to decode it."""
    pieces = _stream(path, rate_hz, headers_only=headers_only)
    start_seconds = next(pieces)
    if start_seconds is None:
        return None
    return Reading(cast(Generator[NDArray[np.float32]], pieces), rate_hz, cast(float, start_seconds))


def _stream(path: Path, rate_hz: int, *, headers_only: bool) -> Generator[NDArray[np.float32] | float | None]:
    """First the start of the track in seconds on the file's clock, or None as `_reading`; then [sample]."""
    with opened(path, headers_only=headers_only) as container:
        stream = require_audio(path, container)
        if headers_only and stream.codec_context.name not in SAID_BY_HEADERS:
            yield None
            return
        read_only(container, [stream])
        stream.codec_context.thread_count = 1
        native_hz, start, packets = _begin(path, container, stream)
        start_seconds = max(0.0, start - zero_seconds(container))
        yield start_seconds
        resampled = _Resampling(native_hz, rate_hz)
        # What lies behind the declared end is padding, or not: that is known when all has been heard.
        declared = declared_seconds(stream, start_seconds)
        end = None if declared is None else round(declared * native_hz)
        longest, heard, behind = 0, 0, list[NDArray[np.float32]]()
        for packet in packets:
            longest, heard = max(longest, len(packet)), heard + len(packet)
            within = len(packet) if end is None else max(0, min(len(packet), end - (heard - len(packet))))
            behind += [packet[within:]] if within < len(packet) else []
            if within and len(values := resampled.more(packet[:within])):
                yield values
        if not heard:
            raise _silent(path)
        allowed = max(PADDING_SECONDS, PADDING_PACKETS * longest / native_hz)
        check_complete(path, "sound", heard / native_hz, declared, allowed)
        if heard - (end or heard) > PADDING_PACKETS * longest:
            yield resampled.more(np.concatenate(behind))
        if len(values := resampled.rest()):
            yield values


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
    resampled = soxr.resample(values, native_hz, rate_hz, quality=QUALITY).astype(np.float32, copy=False)
    return np.pad(resampled[:wanted], (0, max(0, wanted - len(resampled))))


class _Resampling:
    """`_resample` piece by piece."""

    def __init__(self, native_hz: int, rate_hz: int) -> None:
        self._native_hz, self._rate_hz = native_hz, rate_hz
        self._stream = soxr.ResampleStream(native_hz, rate_hz, 1, dtype="float32", quality=QUALITY)
        self._taken = self._given = 0

    def more(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """[sample] that have become known, perhaps none; some wait for what comes after them."""
        if self._native_hz == self._rate_hz:
            return values
        self._taken += len(values)
        made = self._stream.resample_chunk(values)
        self._given += len(made)
        return made

    def rest(self) -> NDArray[np.float32]:
        """[sample] up to the end."""
        if self._native_hz == self._rate_hz:
            return np.empty(0, np.float32)
        made = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
        wanted = max(0, max(1, round(self._taken * self._rate_hz / self._native_hz)) - self._given)
        return np.pad(made[:wanted], (0, max(0, wanted - len(made))))
