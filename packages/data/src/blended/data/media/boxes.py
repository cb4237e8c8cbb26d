"""The outermost parts of an MP4 or MOV file, which say how long they are (ISO/IEC 14496-12, 4.2)."""

import os
import struct
from pathlib import Path

from blended.data.media.opening import begins_as_mov
from blended.data.media.records import MediaError

CONTENT = (b"moov", b"moof", b"mdat")
"""What a file cannot do without: its index, the index of a fragment, its data."""


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
