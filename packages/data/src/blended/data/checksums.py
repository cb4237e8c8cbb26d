"""Whether a file is as it was written: SHA-256 of files, and seals, with which a file carries its own.

A seal is `blended-sha256:` and the SHA-256 of the file, in which the seal itself reads as zeros. It goes
where a format keeps text: the metadata of safetensors and Parquet, an entry of JSON, or behind the array of a
`.npy`. Such a file needs no second one beside it: who is killed leaves a whole file with its seal, or none.

A folder of files that belong together has a manifest instead (`manifest.py`).
"""

import hashlib
import json
import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blended.data.atomic import replacing
from blended.data.errors import InputError

SEAL_KEY = "seal"
"""The entry of metadata that holds a seal."""
_PREFIX = b"blended-sha256:"
_SEAL = re.compile(re.escape(_PREFIX) + rb"[0-9a-f]{64}")
BLANK_SEAL = (_PREFIX + b"0" * 64).decode()
"""What a writer puts where the seal will be."""


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
