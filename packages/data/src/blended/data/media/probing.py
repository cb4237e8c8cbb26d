"""What a file holds, measured from its packets without decoding them."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from blended.data.media.opening import (
    Track,
    audio_tracks,
    describe,
    opened,
    video_tracks,
    zero_seconds,
)
from blended.data.media.records import AudioInfo, MediaError, MediaInfo, VideoInfo

# Timestamps are rounded to ticks (1 ms in Matroska) and cameras jitter: a tenth of a frame is still even.
EVEN_WITHIN = 0.1

# A measured rate this close to the declared one is the declared one (29.968 of 30 frames a second).
SAME_RATE_WITHIN = 0.003

# Elsewhere a duration is guessed from the bit rate (.mp3, .aac), that of what is left (.ogg, .wav) or rounded
# to whole chunks (.avi).
DECLARING_FORMATS = {"mov", "mp4", "matroska", "webm", "flac"}


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """When the packets of one track are shown or heard."""

    starts: NDArray[np.float64]
    """[packet] seconds on the file's clock, ascending."""
    last_seconds: float
    """Duration of the last packet; 0 where the file does not say."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What a file holds and when its frames are shown."""

    info: MediaInfo
    frame_seconds: NDArray[np.float64]
    """[frame] start of every frame of the chosen video track on the file's clock, ascending."""


def probe(path: Path) -> MediaInfo:
    """The container and the chosen tracks of a file.

    Reads every packet and decodes none beyond the first frame. Raises MediaError for a file that cannot be
    opened or holds neither video nor audio. A truncated file may be probed: its tracks then declare more
    than they have.
    """
    return survey(Path(path)).info


def survey(path: Path) -> Survey:
    """What `probe` gives, with the time of every frame."""
    with opened(path) as container:
        videos, audios = video_tracks(container), audio_tracks(container)
        if not videos and not audios:
            raise MediaError(f"{path} has {describe(container)}, expected video or audio: give another file")
        timings, rotation = _scan(container, [*videos[:1], *audios[:1]])
        video = audio = None
        frame_seconds = np.empty(0)
        if videos and len(timings[videos[0].index].starts):
            frame_seconds = timings[videos[0].index].starts
            video = _video_info(videos, timings[videos[0].index], rotation)
        if audios and len(timings[audios[0].index].starts):
            audio = _audio_info(audios, timings[audios[0].index], zero_seconds(container))
        return Survey(_media_info(path, container, video, audio), frame_seconds)


def _media_info(
    path: Path, container: InputContainer, video: VideoInfo | None, audio: AudioInfo | None
) -> MediaInfo:
    tracks = [track for track in (video, audio) if track is not None]
    if not tracks:
        raise MediaError(
            f"{path} holds {describe(container)} without any packet, expected video or audio: it is cut off "
            f"after its header, so copy or download it again"
        )
    measured = max(track.start_seconds + track.duration_seconds for track in tracks)
    declared = container.duration / av.time_base if container.duration else measured
    return MediaInfo(container.format.name, declared, video, audio)


def clockwise_degrees(frame: av.VideoFrame) -> int:
    """The clockwise turn that shows a frame upright, in quarter turns (FFmpeg counts the other way)."""
    return round(-frame.rotation / 90) % 4 * 90


def _scan(container: InputContainer, streams: list[Track]) -> tuple[dict[int, Timing], int]:
    """Timing of every track by stream index, and the clockwise turn of the picture, in one pass."""
    stamps: dict[int, dict[int, int]] = {stream.index: {} for stream in streams}
    rotation: int | None = None
    for stream in streams:
        # Several threads would hold frames back until each has one.
        stream.codec_context.thread_count = 1
    for packet in container.demux(*streams):
        if rotation is None and packet.stream.type == "video":
            # The first frame carries the display matrix of the track.
            frames = (frame for frame in packet.decode() if isinstance(frame, av.VideoFrame))
            rotation = next((clockwise_degrees(frame) for frame in frames), None)
        stamp = packet.pts if packet.pts is not None else packet.dts
        # An empty packet ends the track; a discarded one lies before the edit list's start.
        if packet.size and stamp is not None and not packet.is_discard:
            stamps[packet.stream_index][stamp] = packet.duration or 0
    zero = zero_seconds(container)
    return {stream.index: _timing(stream, stamps[stream.index], zero) for stream in streams}, rotation or 0


def _timing(stream: Track, duration_of: dict[int, int], zero: float) -> Timing:
    """In seconds, from durations by timestamp in ticks."""
    tick = float(stream.time_base or 0)
    starts = np.array(sorted(duration_of), dtype=np.float64) * tick - zero
    return Timing(starts, duration_of[max(duration_of)] * tick if duration_of else 0.0)


def _video_info(streams: list[VideoStream], timing: Timing, rotation: int) -> VideoInfo:
    stream = streams[0]
    upright = rotation in (0, 180)
    width, height = stream.codec_context.width, stream.codec_context.height
    fps, constant = _rate(timing, stream.average_rate or stream.guessed_rate, stream.time_base)
    first, last = float(timing.starts[0]), float(timing.starts[-1])
    declared = declared_seconds(stream, first)
    return VideoInfo(
        codec=stream.codec_context.name,
        width=width if upright else height,
        height=height if upright else width,
        fps=fps,
        constant_rate=constant,
        rotation_degrees=rotation,
        start_seconds=max(0.0, first),
        duration_seconds=_within(last + (timing.last_seconds or 1 / fps) - first, last - first, declared),
        declared_seconds=declared,
        num_frames=stream.frames or None,
        num_tracks=len(streams),
    )


def _within(measured: float, least: float, declared: float | None) -> float:
    """The measured duration up to the declared end, which may cut the last packet short."""
    return measured if declared is None or declared <= least else min(measured, declared)


def _rate(timing: Timing, declared: Fraction | None, tick: Fraction | None) -> tuple[float, bool | None]:
    """Frames per second and whether they are even."""
    named = float(declared) if declared else 0.0
    gaps = np.diff(timing.starts)
    if len(gaps) == 0 or timing.starts[-1] == timing.starts[0]:
        return named or (1 / timing.last_seconds if timing.last_seconds else 25.0), None
    measured = len(gaps) / float(timing.starts[-1] - timing.starts[0])
    typical = float(np.median(gaps))
    allowed = max(EVEN_WITHIN * typical, 1.5 * float(tick or 0))
    constant = bool((abs(gaps - typical) <= allowed).all()) if len(gaps) > 1 else None
    same = abs(named - measured) <= SAME_RATE_WITHIN * measured
    return (named if same else measured), constant


def _audio_info(streams: list[AudioStream], timing: Timing, zero: float) -> AudioInfo:
    stream = streams[0]
    first, last = float(timing.starts[0]), float(timing.starts[-1])
    # Encoders put a primer before the first sample; the track's own start leaves it out.
    if stream.start_time is not None and stream.time_base is not None:
        first = float(stream.start_time * stream.time_base) - zero
    declared = declared_seconds(stream, first)
    return AudioInfo(
        codec=stream.codec_context.name,
        rate_hz=stream.codec_context.sample_rate,
        channels=stream.codec_context.channels,
        start_seconds=max(0.0, first),
        duration_seconds=max(0.0, _within(last + timing.last_seconds - first, last - first, declared)),
        declared_seconds=declared,
        num_tracks=len(streams),
    )


def declared_seconds(stream: Track, start_seconds: float) -> float | None:
    """What the header promises; Matroska promises the end of a track in a tag, as hh:mm:ss."""
    container = stream.container
    if not DECLARING_FORMATS.intersection(container.format.name.split(",")):
        return None
    if stream.duration and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    clock = stream.metadata.get("DURATION", "").split(":")
    if len(clock) != 3:
        return None
    hours, minutes, seconds = (float(part) for part in clock)
    return max(0.0, hours * 3600 + minutes * 60 + seconds - start_seconds)


def check_complete(path: Path, what: str, seconds: float, declared: float | None, allowed: float) -> None:
    """Raises MediaError if a track is shorter than its header declares, by more than `allowed` seconds.

    Truncated Matroska and fast-start MP4 files decode without any other sign.
    """
    if declared is not None and declared - seconds > allowed:
        raise MediaError(
            f"{path} is cut off: it declares {declared:.2f} seconds of {what} but holds {seconds:.2f}; copy "
            f"or download it again"
        )
