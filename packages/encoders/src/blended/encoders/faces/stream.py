"""The pictures of a clip cut down to its face: a stream that visual encoders can ask for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from blended.data.media import Frames, MediaError, probe, read_frames
from blended.data.media.frames import Change, stream_pictures
from blended.data.media.records import Reading
from blended.encoders.encoder import VideoStream
from blended.encoders.faces.detecting import Track, find_faces, follow, search_size

REMEMBERED_TRACKS = 256
"""Clips whose face a process remembers, for encoders that want it at another rate or size."""


class FaceCrop(BaseModel, frozen=True, extra="forbid"):
    """How the face of a clip is found and cut out: a square that follows it, without turning."""

    detector: Literal["lbp-frontal"] = "lbp-frontal"
    """See `detecting.py`."""
    rate_hz: float = Field(default=4.0, gt=0, le=60)
    """Pictures searched per second; in between, the box moves evenly."""
    smallest: float = Field(default=0.2, ge=0.05, le=1)
    """Side of the smallest face to look for, as a share of the picture's shorter side; halving it makes the
    search four times slower."""
    margin: float = Field(default=0.3, ge=0, le=3)
    """Added on every side, as a share of the box, which goes from the eyebrows to the chin."""
    smooth_seconds: float = Field(default=0.3, ge=0, le=10)
    """Standard deviation of the Gaussian that smooths the box over time; 0 follows every detection."""


Faces = Annotated[FaceCrop | None, Field(exclude_if=lambda value: value is None)]
"""For a config's field `faces: Faces = None`; None is the whole picture and leaves the identity as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceFrames(Frames):
    """Pictures of a face, or whole ones where the clip has none, and how often the face was seen."""

    num_searched: int
    """Pictures in which the face was looked for; at least 1."""
    num_without: int
    """Those in which it was not found; all of them for a clip of which the whole picture is shown."""

    @property
    def notes(self) -> Mapping[str, int]:
        """See `notes_of_search`."""
        return notes_of_search(self.num_searched, self.num_without)


def notes_of_search(num_searched: int, num_without: int) -> dict[str, int]:
    """What the feature store says about a clip."""
    return {"pictures_searched": num_searched, "pictures_without_face": num_without}


@dataclass(frozen=True, slots=True)
class FaceStream:
    """Pictures at even steps of time, cut down to the clip's most persistent large face.

    The crop is a square about the smoothed box, continued by the picture's border where it reaches beyond.
    A clip without any face gives whole pictures, as `VideoStream` does.
    """

    rate_hz: float | None
    """None for the file's own rate."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    crop: FaceCrop

    def read(self, path: Path) -> FaceFrames:
        """The file's pictures at `rate_hz` and `size`; decodes twice, the first time small, to search."""
        track = face_track(path, self.crop)
        if len(track.seconds):
            frames = read_frames(path, self.rate_hz, size=self.size, change=self._cutter(track))
        else:
            frames = read_frames(path, self.rate_hz, size=self.size)
        return FaceFrames(
            frames.values, frames.rate_hz, frames.start_seconds, track.num_searched, track.num_without
        )

    def pieces(self, path: Path) -> Reading:
        """The same picture by picture; the search comes first."""
        track = face_track(path, self.crop)
        change = self._cutter(track) if len(track.seconds) else None
        reading = stream_pictures(path, self.rate_hz, size=self.size, change=change)
        return replace(reading, notes=notes_of_search(track.num_searched, track.num_without))

    def _cutter(self, track: Track) -> Change:
        """What turns the whole picture at a time into that of the face."""

        def change(seconds: float, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
            x, y, side = track.at(seconds, self.crop.smooth_seconds)
            return cut_square(picture, x, y, side * (1 + 2 * self.crop.margin), self.size)

        return change


def pictures(
    rate_hz: float | None, size: tuple[int, int], faces: FaceCrop | None
) -> VideoStream | FaceStream:
    """The stream of a visual encoder: whole pictures, or their face where a crop is asked for."""
    return VideoStream(rate_hz, size) if faces is None else FaceStream(rate_hz, size, faces)


def face_track(path: Path, crop: FaceCrop) -> Track:
    """Where the clip's face is; raises MediaError for a file that cannot be read or has no video."""
    file = path.stat() if path.is_file() else None
    return _face_track(path, crop, (file.st_size, file.st_mtime_ns) if file else None)


@lru_cache(maxsize=REMEMBERED_TRACKS)
def _face_track(path: Path, crop: FaceCrop, _version: tuple[int, int] | None) -> Track:
    """`face_track` of one version of a file."""
    video = probe(path).video
    if video is None:
        raise MediaError(
            f"{path} has no video track, expected pictures to find a face in: give a file with video, or "
            f"choose encoders that only listen"
        )
    size = search_size(video.height, video.width, crop.smallest)
    # A clip shorter than two steps is searched at its own rate.
    rate_hz = max(crop.rate_hz, min(video.fps, 2 / max(video.duration_seconds, 1e-3)))
    # One after the other: half an hour of them would fill the memory.
    searched = stream_pictures(path, rate_hz, size=size)
    found = [find_faces(picture) for pictures in searched.pieces for picture in pictures]
    seconds = [searched.start_seconds + step / searched.rate_hz for step in range(len(found))]
    return follow(seconds, found, (video.height / size[0], video.width / size[1]))


def cut_square(
    picture: UInt8[np.ndarray, "height width 3"], x: float, y: float, side: float, size: tuple[int, int]
) -> UInt8[np.ndarray, "rows columns 3"]:
    """A square about (x, y) in pixels, scaled to `size`; beyond the border, the border goes on.

    Pixels are placed to a fraction, so that a face that moves slowly does not jump, and averaged where the
    square shrinks, so that it does not flicker.
    """
    rows, columns = size
    times = max(1, math.ceil(side / min(rows, columns)))
    across, down = columns * times / side, rows * times / side
    # In OpenCV a pixel's centre has whole coordinates; a square's edge lies half a pixel before.
    matrix = np.array(
        [
            [across, 0, columns * times / 2 - 0.5 - across * (x - 0.5)],
            [0, down, rows * times / 2 - 0.5 - down * (y - 0.5)],
        ]
    )
    large = cv2.warpAffine(
        picture,
        matrix,
        (columns * times, rows * times),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times == 1:
        return large.astype(np.uint8, copy=False)
    return cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


NUM_LISTED = 10
"""Clips without a face that are named."""


def faces_seen(notes: Mapping[str, Mapping[str, int]]) -> str:
    """What the notes of a store say, over all its clips.

    >>> faces_seen({"a": {"pictures_searched": 8, "pictures_without_face": 1},
    ...             "b": {"pictures_searched": 5, "pictures_without_face": 5}})
    'no face in 6 of 13 pictures searched (2 of 2 clips); 1 clip without any, whole pictures used: b'
    """
    searched = sum(counts["pictures_searched"] for counts in notes.values())
    without = sum(counts["pictures_without_face"] for counts in notes.values())
    some = [clip for clip, counts in notes.items() if counts["pictures_without_face"]]
    none = [
        clip
        for clip, counts in notes.items()
        if counts["pictures_without_face"] == counts["pictures_searched"]
    ]
    text = f"no face in {without} of {searched} pictures searched ({len(some)} of {len(notes)} clips)"
    if not none:
        return text
    named = ", ".join(sorted(none)[:NUM_LISTED])
    more = f" and {len(none) - NUM_LISTED} more" if len(none) > NUM_LISTED else ""
    clips = "clip" if len(none) == 1 else "clips"
    return f"{text}; {len(none)} {clips} without any, whole pictures used: {named}{more}"
