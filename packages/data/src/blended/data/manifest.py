"""The files of a folder that belong together, with a checksum each: `manifest.json`, written last.

    {"format": 1, "files": {"run.json": SHA-256, "../metrics.json": SHA-256, ...}, "seal": ...}

Names are relative to the folder. A folder whose writer was killed has no manifest; one whose files were
changed since has a manifest that says which. The manifest is sealed itself.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from blended.data.checksums import DamagedError, check_seal, file_sha256, read_sealed_json, write_sealed_json
from blended.data.errors import InputError

NAME = "manifest.json"
FORMAT = 1


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
    write_sealed_json(folder / NAME, {"format": FORMAT, "files": made})
    return folder / NAME


def faults_of(folder: Path, names: Iterable[str] | None = None, strangers: Iterable[str] = ()) -> list[Fault]:
    """What a folder's manifest says against its files, or against some of them.

    `strangers` are names that must not be there without being listed: they would be read as a part of it.
    """
    path = folder / NAME
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
    return [*(Path(os.path.normpath(folder / name)) for name in _listed(folder / NAME)), folder / NAME]


def check_manifest(folder: Path, names: Iterable[str] | None = None, *, remedy: str) -> None:
    """Raises DamagedError that names every file that is not as it was written, and what to do."""
    if faults := faults_of(folder, names):
        raise DamagedError(f"{'; '.join(map(str, faults))}: {remedy}")


def _listed(path: Path) -> dict[str, str]:
    fields = read_sealed_json(path)
    if fields["format"] != FORMAT:
        raise InputError(
            f"{path} has format {fields['format']!r}, expected {FORMAT}: use the version of blended that "
            f"wrote it, or a newer one"
        )
    return fields["files"]


def _fault(folder: Path, name: str, listed: str | None) -> Fault | None:
    path = Path(os.path.normpath(folder / name))
    if not path.is_file():
        return None if listed is None else Fault(path, "is missing")
    if listed is None:
        return Fault(path, f"is not among the files of its {NAME}")
    here = file_sha256(path)
    if here == listed:
        return None
    return Fault(path, f"is damaged: its SHA-256 is {here[:12]}, expected {listed[:12]}")
