"""Reading a CSV of numbers as people exchange them.

Any of comma, semicolon or tab; spaces around names and cells; the index column that pandas leaves behind;
decimal commas beside semicolons; cells that hold a list; NaN in its many spellings.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from blended.data.errors import InputError
from blended.data.text_table import PARQUET, read_utf8

SEPARATORS = (",", ";", "\t")
# What pandas writes for an index without a name, and reads back.
INDEX_NAME = re.compile(r"|Unnamed: \d+(_level_\d+)?|level_\d+|__index_level_\d+__")
NOTHING = ("", "nan", "na", "n/a", "none", "null", "-nan", "nan(ind)", "-nan(ind)", "?")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)", re.IGNORECASE)
_DECIMAL_COMMA = r"^([-+]?\d+),(\d+)$"


@dataclass(frozen=True, slots=True, eq=False)
class NumbersTable:
    """A table of which some columns are numbers."""

    path: Path
    columns: tuple[str, ...]
    """Names of the numeric columns; a column of lists `x` gives `x_0`, `x_1`, ..."""
    values: NDArray[np.float64]
    """[row, column]; NaN where nothing or no number stands."""
    texts: dict[str, list[str]]
    """Every column as text, lists and numbers included."""

    def column(self, name: str) -> NDArray[np.float64]:
        """[row] of one numeric column."""
        return self.values[:, self.columns.index(name)]


def read_numbers(path: Path) -> NumbersTable:
    """A CSV or Parquet file; raises InputError for one that is empty, not UTF-8 or ragged."""
    frame = _parquet(path) if path.suffix.lower() in PARQUET else _csv(path)
    if not frame.height:
        raise InputError(f"{path} has no rows below its header: expected features, so extract them again")
    kept = [name for name in frame.columns if not INDEX_NAME.fullmatch(name)]
    names: list[str] = []
    parts: list[NDArray[np.float64]] = []
    for name in kept:
        found = _numbers(path, name, frame[name])
        if found is not None:
            names += [name] if found.shape[1] == 1 else [f"{name}_{k}" for k in range(found.shape[1])]
            parts.append(found)
    values = np.hstack(parts) if parts else np.empty((frame.height, 0))
    return NumbersTable(path, tuple(names), values, {name: frame[name].to_list() for name in kept})


def _csv(path: Path) -> pl.DataFrame:
    """Every cell as text without the spaces around it, empty text for nothing."""
    text = read_utf8(path)
    header, _, _ = text.partition("\n")
    if not header.strip():
        raise InputError(f"{path} is empty: expected a header and numbers, so extract the features again")
    separator = max(SEPARATORS, key=header.count)
    # A quote counts only where a cell begins with it, and others put a space before it.
    text = re.sub(rf"{re.escape(separator)}[ ]+", separator, text)
    try:
        frame = pl.read_csv(text.encode(), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as CSV ({reason}): extract the features again") from error
    stripped = frame.with_columns(pl.all().str.strip_chars().fill_null(""))
    stripped.columns = [name.strip() for name in stripped.columns]
    if separator == ";":
        stripped = stripped.with_columns(pl.all().str.replace(_DECIMAL_COMMA, "$1.$2"))
    return stripped


def _parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
        lists = [name for name, kind in frame.schema.items() if isinstance(kind, (pl.List, pl.Array))]
        as_text = [
            pl.format("[{}]", pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(" "))
            for name in lists
        ]
        frame = frame.with_columns(*(text.alias(name) for text, name in zip(as_text, lists, strict=True)))
        return frame.with_columns(pl.all().cast(pl.String, strict=False).fill_null(""))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}): write it again") from error


def _numbers(path: Path, name: str, cells: pl.Series) -> NDArray[np.float64] | None:
    """[row, part] of a column of numbers or lists; None for a column of text."""
    if cells.str.starts_with("[").any():
        return _lists(path, name, cells.to_list())
    numbers = cells.cast(pl.Float64, strict=False)
    is_text = numbers.is_null() & ~cells.str.to_lowercase().is_in(NOTHING)
    if is_text.any() or bool((cells == "").all()):
        return None
    return numbers.fill_null(float("nan")).to_numpy()[:, None]


def _lists(path: Path, name: str, cells: list[str]) -> NDArray[np.float64]:
    """[row, part] of cells such as `[0.1, 0.2]`; a row without a list is NaN."""
    rows = [
        [float(number) for number in _NUMBER.findall(cell)] if cell.startswith("[") else [] for cell in cells
    ]
    length = max(map(len, rows))
    values = np.full((len(rows), length), np.nan)
    for line, row in enumerate(rows, start=2):
        if row and len(row) != length:
            raise InputError(
                f"{path}, line {line}: {name} holds {len(row)} numbers where other rows hold {length}; "
                f"extract the features again"
            )
        values[line - 2] = row or np.nan
    return values
