"""Writing a file so that a reader sees all of it or none of it."""

import os
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
