"""Unpacking archives that strangers packed."""

import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from blended.data.errors import InputError

GIB = 1024**3
PIECE = 1024**2
"""Bytes between two looks at the limits."""

# What macOS and Windows leave in archives.
LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db")


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may grow to; beyond it, it is taken for a bomb."""

    total_bytes: int = 500 * GIB
    """Of all files together."""
    ratio: float | int = 200
    """Unpacked to packed bytes, of a file and of the whole; recordings lie near 1, tables near 10."""
    free_bytes: int = 16 * 1024**2
    """What a file may always have, whatever its ratio: small tables pack well."""
    num_files: int = 1_000_000


DEFAULT_LIMITS = Limits()


def is_archive(path: Path) -> bool:
    """Whether it is unpacked on import."""
    return path.suffix.lower() == ".zip"


def unpack(archive: Path, folder: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Unpacks a zip below `folder`, which is made; hidden litter of operating systems is left out.

    Everything is checked before the first byte is written, and sizes again while writing, because an archive
    may lie about them. Raises InputError for a damaged or encrypted archive, names that lead out of the
    folder or occur twice, links and devices, and for more than `limits` allow.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not _is_litter(member)]
            _check(archive, members, limits)
            if sum(member.file_size for member in members) > shutil.disk_usage(_existing(folder)).free:
                raise InputError(f"{archive} does not fit on the disk of {folder}: free some space first")
            for member in members:
                _unpack_one(archive, opened, member, folder, limits)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{archive} is damaged or no zip ({error}): copy or download it again, or unpack it yourself"
        ) from error


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _is_litter(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    return member.is_dir() or any(part in LITTER or part.startswith("._") for part in parts)


def _check(archive: Path, members: list[zipfile.ZipInfo], limits: Limits) -> None:
    seen: set[str] = set()
    for member in members:
        _check_name(archive, member)
        if member.filename.casefold() in seen:
            raise _refused(archive, member, "occurs twice")
        seen.add(member.filename.casefold())
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _refused(archive, member, "is a link or a device, not a file")
        if member.flag_bits & 1:
            raise _refused(archive, member, "is encrypted")
        _check_ratio(archive, member.filename, member.file_size, member.compress_size, limits)
    total = sum(member.file_size for member in members)
    _check_ratio(archive, "everything in it", total, archive.stat().st_size, limits)
    if total > limits.total_bytes or len(members) > limits.num_files:
        raise InputError(
            f"{archive} would unpack to {len(members)} files of {total / GIB:.1f} GiB, expected at most "
            f"{limits.num_files} of {limits.total_bytes / GIB:.1f}: unpack it yourself if you trust it"
        )


def _check_name(archive: Path, member: zipfile.ZipInfo) -> None:
    # zipfile itself turns backslashes into slashes on Windows only.
    name = PurePosixPath(member.filename.replace("\\", "/"))
    outside = name.is_absolute() or ".." in name.parts or PureWindowsPath(member.filename).drive
    if outside or not name.parts or "\0" in member.orig_filename:
        raise _refused(archive, member, "leads out of the archive's folder")


def _check_ratio(archive: Path, what: str, unpacked: int, packed: int, limits: Limits) -> None:
    if unpacked > limits.free_bytes and unpacked > limits.ratio * max(packed, 1):
        raise InputError(
            f"{archive}: {what} would grow from {packed} to {unpacked} bytes, more than {limits.ratio} "
            f"times: this is no archive of recordings, so nothing was unpacked"
        )


def _refused(archive: Path, member: zipfile.ZipInfo, why: str) -> InputError:
    return InputError(
        f"{archive}: the entry {member.filename!r} {why}, expected plain files below one folder; nothing of "
        f"it was used, so get the archive from its source again"
    )


def _unpack_one(
    archive: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, limits: Limits
) -> None:
    target = folder.joinpath(*PurePosixPath(member.filename.replace("\\", "/")).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(member) as source, target.open("xb") as file:
        while written <= member.file_size and (piece := source.read(PIECE)):
            file.write(piece)
            written += len(piece)
    if written > member.file_size:
        raise _refused(archive, member, f"holds more than the {member.file_size} bytes that it declares")
    _check_ratio(archive, member.filename, written, member.compress_size, limits)
