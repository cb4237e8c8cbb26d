"""What a file holds, measured from its packets without decoding them."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from blended.data.media.opening import (
    Track,
    audio_tracks,
    begins_as_mov,
    describe,
    opened,
    read_only,
    video_tracks,
    zero_seconds,
)
from blended.data.media.records import AudioInfo, MediaError, MediaInfo, VideoInfo
from blended.data.media.timing import Timing, scan, seconds_of, stamps_of, timing_of

Found = TypeVar("Found")

# Timestamps are rounded to ticks (1 ms in Matroska) and cameras jitter: a tenth of a frame is still even.
EVEN_WITHIN = 0.1

# A measured rate this close to the declared one is the declared one (29.968 of 30 frames a second).
SAME_RATE_WITHIN = 0.003

# Elsewhere a duration is guessed from the bit rate (.mp3, .aac), that of what is left (.ogg, .wav) or rounded
# to whole chunks (.avi).
DECLARING_FORMATS = {"mov", "mp4", "matroska", "webm", "flac"}


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


def glance(path: Path) -> MediaInfo:
    """What `probe` gives but for what takes a decoder; for MP4 and MOV that is several times as fast.

    There, the size is that of the picture as stored, before it is turned (`first_picture` knows better), and
    sound is described as the header says, without reading its packets (`hear` knows better). How long the
    picture lasts and how its frames are spaced is measured from every packet as ever. Raises MediaError as
    `probe` does.
    """
    return _quickly(_glance, path) or probe(path)


def _quickly(read: Callable[[Path], Found | None], path: Path) -> Found | None:
    """What the header of an MP4 or MOV is enough for; None elsewhere, and where something is wrong."""
    try:
        return read(path) if begins_as_mov(path) else None
    except MediaError:
        return None  # The thorough way finds the words.


def _glance(path: Path) -> MediaInfo | None:
    """None where the header does not say enough."""
    with opened(path, headers_only=True) as container:
        videos, audios = video_tracks(container), audio_tracks(container)
        if not all(track.frames and track.duration for track in (*videos[:1], *audios[:1])):
            return None
        read_only(container, videos[:1])
        video = audio = None
        if videos:
            stamps = stamps_of(container, videos[:1])[videos[0].index]
            timing = timing_of(videos[0], stamps, zero_seconds(container))
            if not len(timing.starts):
                return None
            video = _video_info(videos, timing, 0)
        if audios:
            declared = Timing(np.zeros(1), seconds_of(audios[0].duration or 0, audios[0].time_base))
            audio = _audio_info(audios, declared, zero_seconds(container))
        return _media_info(path, container, video, audio) if videos or audios else None


def survey_pictures(path: Path) -> Survey:
    """What `survey` gives, without a word on sound where the header of an MP4 or MOV says enough.

    That takes a tenth of the time for large pictures, because fewer of them are decoded.
    """
    return _quickly(_survey_pictures, path) or survey(path)


def _survey_pictures(path: Path) -> Survey | None:
    with opened(path, headers_only=True) as container:
        videos = video_tracks(container)
        if not videos or not videos[0].frames or not videos[0].duration:
            return None
        read_only(container, videos[:1])
        timings, rotation = scan(container, videos[:1])
        timing = timings[videos[0].index]
        if not len(timing.starts):
            return None
        video = _video_info(videos, timing, rotation)
        return Survey(_media_info(path, container, video, None), timing.starts)


def survey(path: Path) -> Survey:
    """What `probe` gives, with the time of every frame."""
    with opened(path) as container:
        videos, audios = video_tracks(container), audio_tracks(container)
        if not videos and not audios:
            raise MediaError(f"{path} has {describe(container)}, expected video or audio: give another file")
        timings, rotation = scan(container, [*videos[:1], *audios[:1]])
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
    constant = _is_even(gaps, float(tick or 0)) if len(gaps) > 1 else None
    same = abs(named - measured) <= SAME_RATE_WITHIN * measured
    return (named if same else measured), constant


def _is_even(gaps: NDArray[np.float64], tick_seconds: float) -> bool:
    """Whether all gaps are near the usual one."""
    least, most = float(gaps.min()), float(gaps.max())
    if most - least <= tick_seconds:
        return True  # what is typical lies between, and the median is slow
    typical = float(np.median(gaps))
    return bool((abs(gaps - typical) <= max(EVEN_WITHIN * typical, 1.5 * tick_seconds)).all())


def _audio_info(streams: list[AudioStream], timing: Timing, zero: float) -> AudioInfo:
    stream = streams[0]
    first, last = float(timing.starts[0]), float(timing.starts[-1])
    # Encoders put a primer before the first sample; the track's own start leaves it out.
    if stream.start_time is not None and stream.time_base is not None:
        first = seconds_of(stream.start_time, stream.time_base) - zero
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
        return seconds_of(stream.duration, stream.time_base)
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
