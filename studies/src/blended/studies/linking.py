"""Bringing recordings into the working folder without doubling them on disk."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from blended.data.atomic import replacing
from blended.data.errors import InputError


def link_tree(source: Path, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Hard-links every file below `source` to the same place below `folder`; copies across disks.

    Raises InputError if `source` is not a folder. Files that are there already with the same size and
    time are left alone.
    """
    if not source.is_dir():
        raise InputError(f"{source} is not a folder: set `source` to where the recordings lie")
    files = sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(files):
        progress(number, len(files))
        _link(path, folder / path.relative_to(source))
    progress(len(files), len(files))


def _link(path: Path, target: Path) -> None:
    if target.exists():
        have, want = target.stat(), path.stat()
        if (have.st_size, have.st_mtime_ns) == (want.st_size, want.st_mtime_ns):
            return
    with replacing(target) as temporary:
        temporary.unlink()
        try:
            os.link(path, temporary)
        except OSError:  # another disk, or a file system without hard links
            shutil.copy2(path, temporary)
