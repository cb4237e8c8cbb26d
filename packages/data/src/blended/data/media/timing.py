"""When the packets of a track are shown or heard, and which way up its pictures are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from blended.data.media.opening import Track, zero_seconds


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """When the packets of one track are shown or heard."""

    starts: NDArray[np.float64]
    """[packet] seconds on the file's clock, ascending."""
    last_seconds: float
    """Duration of the last packet; 0 where the file does not say."""


def scan(container: InputContainer, streams: Sequence[Track]) -> tuple[dict[int, Timing], int]:
    """Timing of every track by stream index, and the clockwise turn of the picture, in one pass."""
    turns: list[int] = []

    def look(packet: Packet) -> None:
        # The first frame carries the display matrix of the track.
        if not turns and packet.stream.type == "video" and (turn := turn_of(packet)) is not None:
            turns.append(turn)

    for stream in streams:
        # Several threads would hold frames back until each has one.
        stream.codec_context.thread_count = 1
    stamps = stamps_of(container, streams, look)
    zero = zero_seconds(container)
    timings = {stream.index: timing_of(stream, stamps[stream.index], zero) for stream in streams}
    return timings, turns[0] if turns else 0


def stamps_of(
    container: InputContainer, streams: Sequence[Track], look: Callable[[Packet], None] | None = None
) -> dict[int, dict[int, int]]:
    """Stream index -> timestamp -> duration of its packet, in ticks."""
    stamps: dict[int, dict[int, int]] = {stream.index: {} for stream in streams}
    for packet in container.demux(*streams):
        if look is not None:
            look(packet)
        stamp = packet.pts
        if stamp is None:
            stamp = packet.dts
        # An empty packet ends the track; a discarded one lies before the edit list's start.
        if stamp is not None and packet.size and not packet.is_discard:
            stamps[packet.stream_index][stamp] = packet.duration or 0
    return stamps


def timing_of(stream: Track, duration_of: dict[int, int], zero: float) -> Timing:
    """In seconds on the file's clock, from durations by timestamp in ticks."""
    tick = float(stream.time_base or 0)
    starts = np.array(sorted(duration_of), dtype=np.float64) * tick - zero
    return Timing(starts, duration_of[max(duration_of)] * tick if duration_of else 0.0)


def turn_of(packet: Packet) -> int | None:
    """The clockwise turn of the picture in a packet, which every frame of a track says; None without one."""
    frames = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    decoder = packet.stream.codec_context
    # Not those before the start of an edit list: they are never handed out, but others build on them.
    drawn = packet.size and not packet.is_discard
    if not frames and drawn and isinstance(decoder, VideoCodecContext):
        # Told that there is no more, a decoder hands out what it holds back for later frames to overtake.
        frames = decoder.decode(None)
        decoder.flush_buffers()
    return clockwise_degrees(frames[0]) if frames else None


def clockwise_degrees(frame: av.VideoFrame) -> int:
    """The clockwise turn that shows a frame upright, in quarter turns (FFmpeg counts the other way)."""
    return round(-frame.rotation / 90) % 4 * 90


def seconds_of(ticks: int, tick: Fraction | None) -> float:
    """A number of ticks in seconds, rounded once; 0 without a clock."""
    return ticks * tick.numerator / tick.denominator if tick is not None else 0.0
