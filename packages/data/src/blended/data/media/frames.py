"""Reading pictures: at even steps of time whatever the spacing of the frames, every frame, or the first."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from blended.data.media.colours import Painter
from blended.data.media.opening import begins_as_mov, opened, read_only, require_video, zero_seconds
from blended.data.media.probing import check_complete, survey_pictures
from blended.data.media.records import Frames, MediaError, Reading, VideoInfo
from blended.data.media.timing import clockwise_degrees, turn_of

# A frame counts as shown this long before its time, up to a quarter of a frame: timestamps are rounded to
# ticks (1 ms in Matroska) and cameras jitter.
EARLY_SECONDS = 0.004

# Frames that may be missing at the end before a file is called cut off.
PADDING_FRAMES = 2.5

Change = Callable[[float, NDArray[np.uint8]], NDArray[np.uint8]]
"""From the seconds of a step and the upright picture at its own size to the picture to keep."""


def read_frames(
    path: Path,
    rate_hz: float | int | None = None,
    *,
    size: tuple[int, int] | None = None,
    change: Change | None = None,
) -> Frames:
    """The pictures of a file at `rate_hz` frames per second: the one on screen at each step.

    Frames are chosen by their timestamps, so a varying frame rate gives even steps; `None` keeps the
    file's own (average) rate. `size` is (height, width) of the upright picture, scaled without keeping the
    aspect ratio; `None` keeps the size. `change` makes what is kept from each whole picture, instead of
    scaling it, and has to give pictures of `size`; no more than one whole picture is in memory. Only frames
    that are kept are converted. Raises MediaError for a file that cannot be read, has no video, or ends
    before its header declares.
    """
    steps = _Steps.of(Path(path), rate_hz, size, change)
    values = np.empty((len(steps.seconds), *steps.size, 3), np.uint8)
    for frame, first, end in steps.shown():
        steps.paint(frame, values[first:end], first)
    return Frames(values, steps.rate_hz, steps.info.start_seconds)


def stream_pictures(
    path: Path,
    rate_hz: float | int | None = None,
    *,
    size: tuple[int, int] | None = None,
    change: Change | None = None,
) -> Reading:
    """What `read_frames` gives, to the bit, one picture after the other; raises as that."""
    steps = _Steps.of(Path(path), rate_hz, size, change)
    return Reading(steps.pictures(), steps.rate_hz, steps.info.start_seconds)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """The steps of time at which pictures of a file are wanted, and how they are made."""

    path: Path
    info: VideoInfo
    rate_hz: float | int
    seconds: NDArray[np.float64]
    """[time], ascending."""
    early: float
    """How much before its time a frame may be shown, in seconds."""
    last_frame: float
    """When the last frame of the track begins, in seconds."""
    size: tuple[int, int]
    """(height, width) of what is kept."""
    change: Change | None
    painter: Painter

    @classmethod
    def of(
        cls, path: Path, rate_hz: float | int | None, size: tuple[int, int] | None, change: Change | None
    ) -> "_Steps":
        """Of a file; raises MediaError for one without pictures, or cut off."""
        if rate_hz is not None and not rate_hz > 0:
            raise MediaError(f"frames were asked for at {rate_hz} Hz, expected a positive rate such as 25")
        surveyed = survey_pictures(path)
        info = surveyed.info.video
        if info is None:
            raise _no_frames(path)
        check_frames(path, info)
        rate_hz, grid, early = frame_times(info, rate_hz)
        kept = size or (info.height, info.width)
        last = float(surveyed.frame_seconds[-1])
        return cls(path, info, rate_hz, grid, early, last, kept, change, Painter())

    def shown(self) -> Generator[tuple[av.VideoFrame, int, int]]:
        """(frame, first step, step behind the last) of what is on screen, in order; decodes once."""
        last_seconds = yield from _on_screen(self.path, self.seconds + self.early)
        allowed = PADDING_FRAMES / self.info.fps
        check_complete(self.path, "video", last_seconds, self.last_frame, allowed)

    def paint(self, frame: av.VideoFrame, pictures: NDArray[np.uint8], first: int) -> None:
        """Fills [step, height, width, 3] from the step `first` on with one frame."""
        if self.change is None:
            self.painter.paint(frame, pictures[0])
            pictures[1:] = pictures[0]
            return
        whole = np.empty((self.info.height, self.info.width, 3), np.uint8)
        self.painter.paint(frame, whole)
        for step, seconds in enumerate(self.seconds[first : first + len(pictures)]):
            pictures[step] = self.change(float(seconds), whole)

    def pictures(self) -> Generator[NDArray[np.uint8]]:
        """[step, height, width, 3] of every frame that is kept."""
        for frame, first, end in self.shown():
            made = np.empty((end - first, *self.size, 3), np.uint8)
            self.paint(frame, made, first)
            yield made


def check_frames(path: Path, info: VideoInfo) -> None:
    """Raises MediaError if the file ends before its last frames; decodes nothing."""
    check_complete(path, "video", info.duration_seconds, info.declared_seconds, PADDING_FRAMES / info.fps)


def _no_frames(path: Path) -> MediaError:
    with opened(path) as container:
        require_video(path, container)
    return MediaError(
        f"{path} has a video track without a frame: it is cut off, so copy or download it again"
    )


def frame_times(
    info: VideoInfo, rate_hz: float | int | None
) -> tuple[float | int, NDArray[np.float64], float]:
    """The rate, the seconds at which a frame is wanted, and how much before its time a frame may be shown.

    The [time] seconds go from the first frame to before the end of the last.
    """
    rate_hz = info.fps if rate_hz is None else rate_hz
    early = min(EARLY_SECONDS, 0.25 / info.fps)
    num_frames = max(1, math.ceil((info.duration_seconds - early) * rate_hz))
    return rate_hz, info.start_seconds + np.arange(num_frames) / rate_hz, early


def _on_screen(
    path: Path, wanted: NDArray[np.float64]
) -> Generator[tuple[av.VideoFrame, int, int], None, float]:
    """Decodes once; (frame, first, end) of what is on screen at the wanted seconds, which ascend.

    Returns the start of the last frame in seconds.
    """
    done, shown, seconds = 0, None, 0.0
    # What a decoder has to say about its track, it says again with every frame.
    with opened(path, headers_only=begins_as_mov(path)) as container:
        stream = require_video(path, container)
        # One thread decodes small clips fastest beside other worker processes, and always the same way.
        stream.codec_context.thread_count = 1
        zero = zero_seconds(container)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            seconds = frame.time - zero
            until = int(np.searchsorted(wanted, seconds))
            if until > done and shown is not None:
                yield shown, done, until
                done = until
            shown = frame
        if shown is None:
            raise MediaError(f"{path} has a video track of which no frame decodes: copy or download it again")
        if done < len(wanted):
            yield shown, done, len(wanted)
        return seconds


def stream_frames(path: Path, size: tuple[int, int]) -> Generator[tuple[float, NDArray[np.uint8]]]:
    """(seconds on the file's clock, [height, width, 3] upright RGB) of every frame, scaled to `size`.

    `size` is (height, width) of the upright picture. Raises MediaError for a file without video or with
    damage, when it is reached.
    """
    height, width = size
    with opened(path) as container:
        stream = require_video(path, container)
        stream.codec_context.thread_count = 1
        zero = zero_seconds(container)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            turns = clockwise_degrees(frame) // 90
            across, down = (width, height) if turns % 2 == 0 else (height, width)
            scaled = frame.reformat(
                width=across, height=down, format="rgb24", interpolation=int(Interpolation.BILINEAR)
            )
            picture = np.rot90(scaled.to_ndarray(), -turns).astype(np.uint8, copy=False)
            yield float(frame.time - zero), picture


@dataclass(frozen=True, slots=True)
class Picture:
    """How the first frame of a file is shown."""

    width: int
    """Pixels, upright."""
    height: int
    """Pixels, upright."""
    rotation_degrees: int
    """Clockwise turn that shows it upright: 0, 90, 180 or 270."""


def first_picture(path: Path) -> Picture:
    """What only a decoded frame says; raises MediaError for a file without one that decodes."""
    with opened(path, headers_only=begins_as_mov(path)) as container:
        stream = require_video(path, container)
        stream.codec_context.thread_count = 1
        read_only(container, [stream])
        turns = (turn_of(packet) for packet in container.demux(stream))
        rotation = next((turn for turn in turns if turn is not None), None)
        if rotation is None:
            raise MediaError(f"{path} has a video track of which no frame decodes: copy or download it again")
        size = (stream.codec_context.width, stream.codec_context.height)
    width, height = size if rotation in (0, 180) else size[::-1]
    return Picture(width, height, rotation)
