"""Opening a media file, choosing its tracks, and saying in words why it cannot be read."""

import os
import stat
import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from blended.data.media.records import MediaError

Track = AudioStream | VideoStream


MOV = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name of the format of MP4 and MOV."""

MOV_BOX = b"ftyp"
"""The name of their first box."""

CONTENT = (b"moov", b"moof", b"mdat")
"""What a file cannot do without: its index, the index of a fragment, its data."""

HEADERS_ONLY = {"codec_whitelist": "none", "fflags": "+noparse"}
"""Options of FFmpeg's demuxers: decode and parse nothing on opening. Four fifths of the time of opening a
small MP4 are spent on decoding its first frames, to learn what its header says already."""


@contextmanager
def opened(path: Path, *, headers_only: bool = False) -> Generator[InputContainer]:
    """The open container of a file, closed afterwards.

    `headers_only` is for MP4 and MOV: tracks are described as the header says, which is far quicker; what
    only a decoder knows (the size after cropping, the rate of a sound with hidden high bands) may differ.
    Raises MediaError for a file that is missing, empty or no media, and for damage that is met while the
    container is in use.
    """
    _check_file(path)
    try:
        if headers_only:
            container = av.open(
                str(path), format=MOV, container_options=HEADERS_ONLY, metadata_errors="replace"
            )
        else:
            container = av.open(str(path), mode="r", metadata_errors="replace")
    except FFmpegError as error:
        raise MediaError(
            f"{path} cannot be opened as media ({error.strerror}): expected a complete video or sound file "
            f"such as .mp4, .mov, .mkv, .webm or .wav; it may be cut off or be something else under that "
            f"name, so copy or download it again"
        ) from error
    try:
        with container:
            yield container
    except FFmpegError as error:
        raise MediaError(
            f"{path} is damaged ({error.strerror}): expected a file that decodes from start to end; copy or "
            f"download it again"
        ) from error


def begins_as_mov(path: Path) -> bool:
    """Whether a file begins as MP4 and MOV do; False for one that is not there."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(8)[4:] == MOV_BOX
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def read_only(container: InputContainer, tracks: Sequence[Track]) -> None:
    """Passes over the packets of all other tracks without reading them, where the format has an index."""
    for stream in container.streams:
        stream.discard = Discard.default if stream in tracks else Discard.all


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(
            f"{path} does not exist, expected a media file: check the folder and the name"
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{path} is a folder, expected a media file: name a file in it")
    if status.st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes), expected a media file: copy or download it again")


def video_tracks(container: InputContainer) -> list[VideoStream]:
    """Video tracks that can be decoded, the one flagged as default first; cover pictures are not tracks."""
    moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return sorted(filter(_has_decoder, moving), key=_default_first)


def audio_tracks(container: InputContainer) -> list[AudioStream]:
    """Audio tracks that can be decoded, the one flagged as default first."""
    return sorted(filter(_has_decoder, container.streams.audio), key=_default_first)


def _has_decoder(stream: Stream) -> bool:
    # PyAV's types do not say so, but a track in an unknown codec has no context.
    return cast(object, stream.codec_context) is not None


def _default_first(stream: Track) -> tuple[bool, int]:
    return (not stream.disposition & Disposition.default, stream.index)


def zero_seconds(container: InputContainer) -> float:
    """The container's time of its earliest track, which is zero on the clock of the records.

    It is known to a microsecond only: a start below zero by less is rounding.
    """
    return (container.start_time or 0) / av.time_base


def describe(container: InputContainer) -> str:
    """The tracks of a file in words, for messages."""
    kinds = [stream.type if _has_decoder(stream) else "undecodable" for stream in container.streams]
    counts = [f"{kinds.count(kind)} {kind} track(s)" for kind in dict.fromkeys(kinds)]
    return ", ".join(counts) or "no track at all"


def require_video(path: Path, container: InputContainer) -> VideoStream:
    """The chosen video track; raises MediaError where there is none."""
    tracks = video_tracks(container)
    if not tracks:
        raise MediaError(
            f"{path} has no video track (it has {describe(container)}): expected pictures; give a file with "
            f"video, or choose encoders that only listen"
        )
    return tracks[0]


def require_audio(path: Path, container: InputContainer, track: int = 0) -> AudioStream:
    """The audio track of that number; raises MediaError where there is none."""
    tracks = audio_tracks(container)
    if not tracks:
        raise MediaError(
            f"{path} has no audio track (it has {describe(container)}): expected sound; give a file with "
            f"audio, or choose encoders that only look"
        )
    if not 0 <= track < len(tracks):
        raise MediaError(
            f"{path} has no audio track {track}: expected a number from 0 to {len(tracks) - 1}, as it has "
            f"{len(tracks)} audio track(s)"
        )
    return tracks[track]


def check_boxes(path: Path) -> None:
    """Raises MediaError for an MP4 or MOV whose index or data go on behind the end of the file.

    FFmpeg reads an index that is cut off as far as it goes, and may so lose a track without a word.
    """
    if not begins_as_mov(path):
        return
    with path.open("rb") as file:
        end, place = file.seek(0, os.SEEK_END), 0
        while place + 16 <= end:
            file.seek(place)
            size, name, wide = struct.unpack(">I4sQ", file.read(16))
            if size == 0:
                return  # up to the end, whatever that is
            place += wide if size == 1 else max(size, 8)
            if place > end and name in CONTENT:
                raise MediaError(
                    f"{path} is cut off: {place - end} bytes of its {name.decode()!r} part are missing; copy "
                    f"or download it again"
                )
