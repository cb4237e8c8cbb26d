"""Writing a file so that a reader sees all of it or none of it."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yields a temporary path beside `path`; renamed onto it on success, removed on failure.

    The temporary name keeps the suffix of `path`, because writers of media and images choose the
    format by it, and starts with a dot, so that a kill between the two leaves nothing that a reader
    takes for the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=f".tmp{path.suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a corpus is read by colleagues and by DVC's cache.
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text through `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(folder: Path) -> Generator[Path]:
    """Yields an empty folder beside `folder`, which takes its place on success and is removed on failure.

    A reader, and whoever is killed, finds the old folder or the new one and never a mixture. Call it with
    a lock held: what an earlier, killed call left behind is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(left)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    made.chmod(0o755)
    try:
        yield made
        if folder.exists():
            # Exchanged in one step where the system can, so that no moment is without a corpus.
            if not _exchange(made, folder):
                old = made.with_suffix(".old.tmp")
                folder.replace(old)
                made.replace(folder)
                shutil.rmtree(old)
        else:
            made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step; False where the system cannot."""
    at_cwd, rename_exchange = -100, 2
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return library.renameat2(at_cwd, paths[0], at_cwd, paths[1], rename_exchange) == 0
