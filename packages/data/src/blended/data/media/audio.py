"""Reading sound: one track, mixed to mono, at the rate that is asked for."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar, cast

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from blended.data.media.opening import begins_as_mov, opened, read_only, require_audio, zero_seconds
from blended.data.media.probing import check_complete, declared_seconds
from blended.data.media.records import MediaError, Reading, Waveform

Made = TypeVar("Made")

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

    def whole(begun: _Begun) -> Heard:
        values = _resample(np.concatenate([*begun.pieces]), begun.native_hz, rate_hz)
        return Heard(Waveform(values, rate_hz, begun.start_seconds), begun.native_hz, begun.channels)

    return _of_track(path, rate_hz, track, whole)


def stream_audio(path: Path, rate_hz: int) -> Reading:
    """What `read_audio` gives of the first track, to the bit, piece by piece.

    Raises MediaError where that does, and where only a second, thorough reading would help: whoever meets one
    in mid-track asks `read_audio`, which has the last word.
    """

    def piecewise(begun: _Begun) -> Reading:
        return Reading(_resampled(begun.pieces, begun.native_hz, rate_hz), rate_hz, begun.start_seconds)

    return _of_track(Path(path), rate_hz, 0, piecewise)


@dataclass(frozen=True, slots=True, eq=False)
class _Begun:
    """A track of which the first frame is decoded."""

    native_hz: int
    channels: int
    start_seconds: float
    """On the file's clock."""
    pieces: Generator[NDArray[np.float32]]
    """[sample] at its own rate, in order, without what lossy codecs fill their last packet with."""


def _of_track(path: Path, rate_hz: int, track: int, make: Callable[[_Begun], Made]) -> Made:
    """What is made of a track: by the header of an MP4 where that says enough, or after a thorough look."""
    if rate_hz < 1:
        raise MediaError(f"sound was asked for at {rate_hz} Hz, expected a positive rate such as 16000")
    # The thorough way finds the words for what is wrong.
    with suppress(MediaError):
        if begins_as_mov(path) and (begun := _begin(path, track, headers_only=True)) is not None:
            return make(begun)
    begun = _begin(path, track, headers_only=False)
    assert begun is not None
    return make(begun)


def _begin(path: Path, track: int, *, headers_only: bool) -> _Begun | None:
    """None for a track of which the header does not say enough to decode it."""
    pieces = _decode(path, track, headers_only)
    begun = cast(tuple[int, int, float] | None, next(pieces))
    return None if begun is None else _Begun(*begun, cast(Generator[NDArray[np.float32]], pieces))


def _decode(
    path: Path, track: int, headers_only: bool
) -> Generator[tuple[int, int, float] | NDArray[np.float32] | None]:
    """First rate, channels and start, or None as `_begin`; then the pieces."""
    with opened(path, headers_only=headers_only) as container:
        stream = require_audio(path, container, track)
        if headers_only and stream.codec_context.name not in SAID_BY_HEADERS:
            yield None
            return
        read_only(container, [stream])
        stream.codec_context.thread_count = 1
        frames = container.decode(stream)
        first = next(frames, None)
        if first is None:
            raise _silent(path)
        native_hz, start = first.sample_rate, first.time or 0.0
        start_seconds = max(0.0, start - zero_seconds(container))
        yield native_hz, len(first.layout.channels), start_seconds
        # What lies behind the declared end is padding, or not: that is known when all has been heard.
        declared = declared_seconds(stream, start_seconds)
        end = round((declared or 0) * native_hz) or None
        longest, heard, behind = 0, 0, list[NDArray[np.float32]]()
        for packet in _packets(path, chain([first], frames), native_hz, start):
            longest, heard = max(longest, len(packet)), heard + len(packet)
            within = len(packet) if end is None else max(0, min(len(packet), end - (heard - len(packet))))
            behind += [packet[within:]] if within < len(packet) else []
            if within:
                yield packet[:within]
        if not heard:
            raise _silent(path)
        allowed = max(PADDING_SECONDS, PADDING_PACKETS * longest / native_hz)
        check_complete(path, "sound", heard / native_hz, declared, allowed)
        if heard - (end or heard) > PADDING_PACKETS * longest:
            yield np.concatenate(behind)


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


def _resampled(
    pieces: Generator[NDArray[np.float32]], native_hz: int, rate_hz: int
) -> Generator[NDArray[np.float32]]:
    """`_resample` piece by piece: [sample] that have become known; some wait for what comes after them."""
    if native_hz == rate_hz:
        yield from pieces
        return
    stream = soxr.ResampleStream(native_hz, rate_hz, 1, dtype="float32", quality=QUALITY)
    taken = given = 0
    with closing(pieces):
        for piece in pieces:
            made = stream.resample_chunk(piece)
            taken, given = taken + len(piece), given + len(made)
            if len(made):
                yield made
    made = stream.resample_chunk(np.empty(0, np.float32), last=True)
    wanted = max(0, max(1, round(taken * rate_hz / native_hz)) - given)
    if wanted:
        yield np.pad(made[:wanted], (0, max(0, wanted - len(made))))
