"""Which code made features: whoever edits an encoder, or what it is built of, gets new features.

The files are found from the sources alone, so that nobody waits for the libraries that encoders import.
"""

import ast
import functools
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from blended.data import media
from blended.encoders.encoder import EncoderConfig

FOLDERS = {
    "blended.encoders": Path(__file__).parent,
    "blended.data.media": Path(media.__file__ or "").parent,
}
"""Package -> folder. Of other packages, and of other rooms, the version has to do."""

FACES = FOLDERS["blended.encoders"] / "faces"
POOLING = FOLDERS["blended.encoders"] / "pooling.py"


def code_version(config: EncoderConfig) -> str:
    """Version of the distribution, and a hash of the encoder's file and of those that its imports lead to.

    Those that find faces count where pictures are cut down to them, with the version of the detector.
    """
    without = FACES if getattr(config, "faces", None) is None else None
    detector = version("scikit-image") if without is None else ""
    return _version(reached(Path(inspect.getfile(type(config))), without), detector)


def pooling_version() -> str:
    """The same of the code that makes one vector of a clip's features."""
    return _version(reached(POOLING))


def _version(files: Iterable[Path], more: str = "") -> str:
    total = hashlib.sha256(more.encode())
    for name, file in sorted((file.name, file) for file in files):
        total.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return f"{version('blended-encoders')}+{total.hexdigest()[:12]}"


def reached(start: Path, without: Path | None = None) -> frozenset[Path]:
    """A file and those of `FOLDERS` that its imports lead to, but for the files of a folder."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file in found or file.parent == without:
            continue
        found.add(file)
        names = imported(file, file.stat().st_mtime_ns)
        waiting += [path for name in names if (path := _file_of(name)) is not None]
    return frozenset(found)


@functools.lru_cache(maxsize=1024)
def imported(file: Path, _modified: int) -> frozenset[str]:
    """What a file imports anywhere, within functions too: names of modules, or of things in them."""
    return frozenset(name for node in ast.walk(ast.parse(file.read_bytes())) for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    """What may be modules: `from a import b` means `a`, or the module `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(name: str) -> Path | None:
    for package, folder in FOLDERS.items():
        if name == package or name.startswith(f"{package}."):
            path = folder.joinpath(*name.removeprefix(package).split(".")[1:])
            return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)
    return None
