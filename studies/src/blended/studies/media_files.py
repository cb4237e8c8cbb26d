"""Which files a user means who names files and folders."""

from collections.abc import Sequence
from pathlib import Path

from blended.data import InputError

SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".wav", ".flac", ".mp3", ".m4a", ".ogg"}
)
"""What is taken from a folder; a file that is named itself may have any name."""


def media_files(given: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the media files in them, by name; each file once.

    Raises InputError for a path that does not exist and for a folder without a media file.
    """
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(
            one
            for one in path.iterdir()
            if one.is_file() and one.suffix.lower() in SUFFIXES and not one.name.startswith(".")
        )
        if not found:
            raise InputError(f"{path} has no media file, expected some of {', '.join(sorted(SUFFIXES))}")
        files += found
    return list(dict.fromkeys(files))
