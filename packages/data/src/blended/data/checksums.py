"""Whether a file is as it was written: SHA-256 of files, seals inside a file, manifests beside several.

A seal is `blended-sha256:` and the SHA-256 of the file, in which the seal itself reads as zeros. It goes
where a format keeps text: the metadata of safetensors and Parquet, an entry of JSON, or behind the array of a
`.npy`. Such a file needs no second one beside it: who is killed leaves a whole file with its seal, or none.

The files of a folder that belong together have a manifest instead, which is sealed itself and written last:

    {"format": 1, "files": {"run.json": SHA-256, "../metrics.json": SHA-256, ...}, "seal": ...}

Names are relative to the folder. A folder whose writer was killed has no manifest; one whose files were
changed since has a manifest that says which.
"""

import hashlib
import json
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from blended.data.atomic import replacing
from blended.data.errors import InputError

SEAL_KEY = "seal"
"""The entry of metadata that holds a seal."""
_PREFIX = b"blended-sha256:"
_SEAL = re.compile(re.escape(_PREFIX) + rb"[0-9a-f]{64}")
BLANK_SEAL = (_PREFIX + b"0" * 64).decode()
"""What a writer puts where the seal will be."""


MANIFEST = "manifest.json"
_FORMAT = 1
_HEADER_LENGTH_BYTES = 8


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; reads a part at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class DamagedError(InputError):
    """Bytes on this disk are not those that were written."""


def seal(path: Path) -> None:
    """Replaces the blank seal in a file by its checksum; raises ValueError for a file that has none."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        places = [found.start() for found in _SEAL.finditer(content)]
        if not places:
            raise ValueError(f"{path} has no blank seal: its writer must put one into it")
        digest = _digest(content, places).encode()
        for place in places:
            content[place + len(_PREFIX) : place + len(BLANK_SEAL)] = digest


def append_seal(path: Path) -> None:
    """Seals a file of a format that does not mind what follows its content."""
    with path.open("ab") as file:
        file.write(BLANK_SEAL.encode())
    seal(path)


def is_sealed(path: Path) -> bool:
    """Whether a file holds a seal, right or wrong."""
    return bool(_seals(path))


def check_seal(path: Path) -> None:
    """Raises DamagedError for a file without a seal, and for one that its seal does not fit."""
    found = _seals(path)
    if not found:
        raise DamagedError(f"{path} is damaged, or of before checksums: it has no seal")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        here = _PREFIX + _digest(content, list(found)).encode()
    if wrong := [text for text in found.values() if text != here]:
        said, is_ = (text.removeprefix(_PREFIX).decode()[:12] for text in (wrong[0], here))
        raise DamagedError(f"{path} is damaged: its SHA-256 is {is_}, its seal says {said}")


def check_seal_if_any(path: Path) -> None:
    """The same for files that may be of others, or of before checksums: those have no seal."""
    if _seals(path):
        check_seal(path)


def write_sealed_json(path: Path, fields: Mapping[str, object]) -> None:
    """Writes an object as JSON, with its seal as a further entry."""
    with replacing(path) as temporary:
        text = json.dumps({**fields, SEAL_KEY: BLANK_SEAL}, indent=1)
        temporary.write_text(f"{text}\n", encoding="utf-8")
        seal(temporary)


def read_sealed_json(path: Path) -> dict[str, Any]:
    """What `write_sealed_json` wrote, without the seal, which files of before checksums do not have.

    Raises DamagedError for what is no object, and for a file that its seal does not fit.
    """
    check_seal_if_any(path)
    try:
        fields = json.loads(path.read_bytes())
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: it is no JSON ({error})") from error
    if not isinstance(fields, dict):
        raise DamagedError(f"{path} is damaged: it holds {str(fields)[:40]!r}, expected an object")
    fields.pop(SEAL_KEY, None)
    return fields


def _seals(path: Path) -> dict[int, bytes]:
    """Place -> seal. Parquet's metadata may be there twice."""
    if not path.stat().st_size:
        return {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {found.start(): found.group() for found in _SEAL.finditer(content)}


def _digest(content: mmap.mmap, places: list[int]) -> str:
    total, start, blank = hashlib.sha256(), 0, BLANK_SEAL.encode()
    with memoryview(content) as view:
        for place in places:
            total.update(view[start:place])
            total.update(blank)
            start = place + len(blank)
        total.update(view[start:])
    return total.hexdigest()


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays by name, any shape, and metadata; whole or not at all.

    The file depends on names, values and metadata alone: not on their order, on the memory layout of the
    arrays or on the process. `check_seal` says whether it is as it was written.
    """
    # Not ascontiguousarray, which makes a vector of a single number.
    rows = {name: np.asarray(values, order="C") for name, values in tensors.items()}
    with replacing(path) as temporary:
        save_file(rows, temporary, {**(metadata or {}), SEAL_KEY: BLANK_SEAL})
        _order_metadata(temporary)
        seal(temporary)


def _order_metadata(path: Path) -> None:
    """Sorts the metadata in a file's header, which stays as long as it is."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_HEADER_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        ordered = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
        text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise ValueError(f"{path}: the header of {length} bytes became {len(text)} by sorting")
        file.seek(_HEADER_LENGTH_BYTES)
        file.write(text.ljust(length))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file."""

    path: Path
    problem: str
    """In words, to be read after the path."""

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


def write_manifest(folder: Path, names: Iterable[str], files: Path | None = None) -> Path:
    """Hashes files of a folder, or those of the same names in `files`; returns the manifest's path."""
    made = {name: file_sha256((files or folder) / name) for name in sorted(names)}
    write_sealed_json(folder / MANIFEST, {"format": _FORMAT, "files": made})
    return folder / MANIFEST


def faults_of(folder: Path, names: Iterable[str] | None = None, strangers: Iterable[str] = ()) -> list[Fault]:
    """What a folder's manifest says against its files, or against some of them.

    `strangers` are names that must not be there without being listed: they would be read as a part of it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return [Fault(path, "is missing")]
    try:
        check_seal(path)
    except DamagedError as damage:
        return [Fault(path, str(damage).removeprefix(f"{path} "))]
    try:
        listed = _listed(path)
    except InputError as error:
        return [Fault(path, str(error).removeprefix(f"{path} "))]
    found = [_fault(folder, name, listed.get(name)) for name in (listed if names is None else names)]
    found += [_fault(folder, name, None) for name in strangers if name not in listed]
    return [fault for fault in found if fault is not None]


def files_of(folder: Path) -> list[Path]:
    """The files that a folder's manifest lists, whether they are there or not, and the manifest."""
    return [
        *(Path(os.path.normpath(folder / name)) for name in _listed(folder / MANIFEST)),
        folder / MANIFEST,
    ]


def check_manifest(folder: Path, names: Iterable[str] | None = None, *, remedy: str) -> None:
    """Raises DamagedError that names every file that is not as it was written, and what to do."""
    if faults := faults_of(folder, names):
        raise DamagedError(f"{'; '.join(map(str, faults))}: {remedy}")


def _listed(path: Path) -> dict[str, str]:
    fields = read_sealed_json(path)
    if fields["format"] != _FORMAT:
        raise InputError(
            f"{path} has format {fields['format']!r}, expected {_FORMAT}: use the version of blended that "
            f"wrote it, or a newer one"
        )
    return fields["files"]


def _fault(folder: Path, name: str, listed: str | None) -> Fault | None:
    path = Path(os.path.normpath(folder / name))
    if not path.is_file():
        return None if listed is None else Fault(path, "is missing")
    if listed is None:
        return Fault(path, f"is not among the files of its {MANIFEST}")
    here = file_sha256(path)
    if here == listed:
        return None
    return Fault(path, f"is damaged: its SHA-256 is {here[:12]}, expected {listed[:12]}")
