"""Sources of features: which clips they hold, and the values of each."""

import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError
from blended.data.foreign.tables import Given, ImportedConfig, NumbersTable, chosen, frames, read_numbers
from blended.data.text_table import PARQUET

TABLES = (".csv", ".tsv", ".txt", *PARQUET)
# Names in tables keep the suffix of whatever file they were made from.
SUFFIXES = (
    *TABLES,
    ".npy",
    ".npz",
    ".mov",
    ".mp4",
    ".avi",
    ".mkv",
    ".webm",
    ".flv",
    ".wav",
    ".flac",
    ".mp3",
    ".m4a",
)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """All that one path holds."""

    path: Path
    readers: Mapping[str, Callable[[], Given]]
    """Clip to what reads it; raises InputError for what cannot be used."""
    files: tuple[Path, ...] = field(default=())
    """What was read, for the checksum."""


def open_source(path: Path, config: ImportedConfig, clip_ids: Collection[str]) -> Source:
    """What a folder of `.npy` or CSV files, an `.npz`, or a table with a row per clip holds.

    `clip_ids` are those of the corpus: they decide which column of a table names the clips. Raises InputError
    for anything else, for pickled arrays, and for two files or rows of one clip.
    """
    if path.is_dir():
        return _folder(path, config)
    if not path.is_file():
        raise InputError(
            f"{path} does not exist: expected a folder of .npy or .csv files, an .npz or a table"
        )
    if path.suffix.lower() == ".npz":
        return _npz(path)
    if path.suffix.lower() in TABLES:
        return _clip_table(path, config, clip_ids)
    raise InputError(
        f"{path} is no source of features: expected a folder of .npy or .csv files, an .npz with X and "
        f"filenames, or a .csv or .parquet table with a row per clip"
    )


def clip_name(text: str) -> str:
    """The clip that a file name or a cell names.

    >>> clip_name("train/A102_ang_int1_ver1.mov"), clip_name("a.b")
    ('A102_ang_int1_ver1', 'a.b')
    """
    name = PurePosixPath(text.strip().strip("'\"").replace("\\", "/")).name
    stem, dot, suffix = name.rpartition(".")
    return stem if dot + suffix.lower() in SUFFIXES and stem else name


def _folder(path: Path, config: ImportedConfig) -> Source:
    found = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    arrays = [p for p in found if p.suffix.lower() == ".npy"]
    tables = [p for p in found if p.suffix.lower() in TABLES]
    files = arrays or tables
    if not files:
        raise InputError(f"{path} has neither .npy nor .csv files: expected one for every clip")
    counts = Counter(p.stem for p in files)
    if repeated := [p for p in files if counts[p.stem] > 1]:
        raise InputError(
            f"{repeated[0]} and {repeated[1]} are both features of {repeated[0].stem!r}; name a folder that "
            f"holds one of them"
        )
    read = _read_array if arrays else lambda path: frames(read_numbers(path), config)
    return Source(path, {p.stem: partial(read, p) for p in files}, tuple(files))


def _read_array(path: Path) -> Given:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _no_array(path, error) from error
    return _given(path, values)


def _no_array(path: Path, error: Exception) -> InputError:
    if "pickle" in str(error).lower():
        return InputError(
            f"{path} holds pickled objects, which may run code and are never loaded: save it again as a "
            f"plain array of numbers (names as an array of strings)"
        )
    return InputError(f"{path} cannot be read as an array ({error}): copy or download it again")


def _given(path: Path, values: NDArray[np.generic]) -> Given:
    """A vector is for the whole clip; a matrix is [time, dim]."""
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2) or not values.size:
        raise InputError(f"{path} is an array of {values.dtype} {values.shape}: expected numbers [time, dim]")
    matrix = np.atleast_2d(values).astype(np.float32 if values.dtype.itemsize <= 4 else np.float64)
    good = np.isfinite(matrix).all(axis=1)
    if not good.any():
        raise InputError(f"{path} has no step without NaN or infinite values: extract the features again")
    return Given(matrix[good], (), 0.0 if values.ndim == 1 else None, int((~good).sum()))


def _npz(path: Path) -> Source:
    try:
        with np.load(path, allow_pickle=False) as opened:
            if missing := [name for name in ("X", "filenames") if name not in opened.files]:
                raise InputError(
                    f"{path} lacks {' and '.join(missing)}; it has {', '.join(opened.files)}: expected X "
                    f"[clip, dim] or [clip, time, dim], and filenames"
                )
            values, names = opened["X"], [clip_name(str(name)) for name in opened["filenames"].tolist()]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise _no_array(path, error) from error
    if values.ndim < 2 or len(values) != len(names):
        raise InputError(f"{path} has X {values.shape} for {len(names)} filenames: expected one row for each")
    _check_names(path, names)
    readers = {name: partial(_given, path, values[place]) for place, name in enumerate(names)}
    return Source(path, readers, (path,))


def _check_names(path: Path, names: list[str], first_line: int = 1) -> None:
    line_of: dict[str, int] = {}
    for line, name in enumerate(names, start=first_line):
        if line_of.setdefault(name, line) != line:
            raise InputError(
                f"{path}: clip {name!r} is in rows {line_of[name]} and {line}; remove one of them"
            )


def _clip_table(path: Path, config: ImportedConfig, clip_ids: Collection[str]) -> Source:
    table = read_numbers(path)
    column = _clip_column(table, config, clip_ids)
    names = [clip_name(text) for text in table.texts[column]]
    _check_names(path, names, first_line=2)
    columns = tuple(name for name in chosen(table, config, per_clip=True) if name != column)
    values = table.values[:, [table.columns.index(name) for name in columns]]
    readers = {name: partial(_clip_row, path, row, columns) for name, row in zip(names, values, strict=True)}
    return Source(path, readers, (path,))


def _clip_row(path: Path, row: NDArray[np.float64], columns: tuple[str, ...]) -> Given:
    if bad := [name for name, value in zip(columns, row, strict=True) if not np.isfinite(value)]:
        raise InputError(f"{path} has no number in {', '.join(bad[:5])}: fill it or leave the clip out")
    return Given(row[None], columns, 0.0)


def _clip_column(table: NumbersTable, config: ImportedConfig, clip_ids: Collection[str]) -> str:
    """The column that names most clips of the corpus."""
    if config.clip_column:
        if config.clip_column not in table.texts:
            raise InputError(
                f"{table.path} lacks the column {config.clip_column!r}; it has {', '.join(table.texts)}"
            )
        return config.clip_column
    known = frozenset(clip_ids)
    fits = {name: len(known.intersection(map(clip_name, cells))) for name, cells in table.texts.items()}
    best = max(fits, key=lambda name: fits[name], default="")
    if not best or not fits[best]:
        example = next(iter(sorted(known)), "")
        raise InputError(
            f"{table.path} has no column with clips of the corpus, such as {example!r}; its columns are "
            f"{', '.join([*table.texts][:12])}: rename the clips there as in the corpus"
        )
    return best
