"""How the pictures of a file are shown, from its first frame."""

from dataclasses import dataclass
from pathlib import Path

from blended.data.media.opening import begins_as_mov, opened, read_only, require_video
from blended.data.media.records import MediaError
from blended.data.media.timing import turn_of


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
