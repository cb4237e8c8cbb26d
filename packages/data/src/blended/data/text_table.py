"""Reading tables that other people wrote: every cell as text, every row with its line."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import polars as pl

from blended.data.errors import InputError

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table as it was typed."""

    path: Path
    columns: tuple[str, ...]
    """Names without the spaces around them, in the order of the file."""
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Line in the file (of a Parquet file: the row, from 1) and its cells; an empty cell is empty text."""


def read_text_table(path: Path, required: Sequence[str], what: str) -> TextTable:
    """A CSV (commas, UTF-8, any line ends) or Parquet file with a header; `what` says what it should be.

    Raises InputError naming the file, the line and the remedy for a file that is missing, empty, not UTF-8,
    separated otherwise, has rows of another length than its header, or lacks required columns.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: expected {what}")
    table = _read_parquet(path) if path.suffix.lower() in PARQUET else _read_csv(path)
    if missing := [column for column in required if column not in table.columns]:
        raise InputError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}"
            f"{_separator_hint(table.columns)}"
        )
    if not table.rows:
        raise InputError(f"{path} has no rows below its header, expected {what}: fill it or restore it")
    return table


def inside(folder: Path, text: str) -> Path:
    """The file of that name below a folder; raises InputError for a name that leads out of it.

    >>> inside(Path("corpus"), "train/a.mp4").as_posix()
    'corpus/train/a.mp4'
    """
    name = PurePosixPath(text.replace("\\", "/"))
    if name.is_absolute() or PureWindowsPath(text).drive or ".." in name.parts or not name.parts:
        raise InputError(
            f"the path {text!r} leads out of the corpus: expected one below {folder}, without '..', a drive "
            f"or a leading slash"
        )
    return folder.joinpath(*name.parts)


def _read_parquet(path: Path) -> TextTable:
    try:
        frame = pl.read_parquet(path).with_columns(pl.all().cast(pl.String, strict=False).fill_null(""))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}): write it again") from error
    rows = tuple(enumerate(frame.iter_rows(named=True), start=1))
    return TextTable(path, tuple(frame.columns), rows)


def _read_csv(path: Path) -> TextTable:
    reader = csv.reader(io.StringIO(read_utf8(path), newline=""), strict=True)
    columns: tuple[str, ...] = ()
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        _check_header(path, columns)
        for cells in reader:
            if any(cells):
                _check_length(path, reader.line_num, columns, cells)
                named = zip(columns, (cell.strip() for cell in cells), strict=True)
                rows.append((reader.line_num, dict(named)))
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: cannot be read as CSV ({error}); mend its quotes"
        ) from error
    return TextTable(path, columns, tuple(rows))


def read_utf8(path: Path) -> str:
    """The text of a file; raises InputError naming the line that is not UTF-8."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: cannot be read as UTF-8 CSV (byte 0x{raw[error.start]:02x}); save it with "
            f"the encoding UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(
            f"{path} holds zero bytes: it is no text, or UTF-16; save it with the encoding UTF-8"
        )
    return text


def _check_header(path: Path, columns: tuple[str, ...]) -> None:
    if not any(columns):
        raise InputError(f"{path} is empty: expected a header and rows, so restore it")
    if repeated := [name for name in columns if name and columns.count(name) > 1]:
        raise InputError(f"{path}, line 1: the column {repeated[0]!r} occurs twice; rename one of them")


def _check_length(path: Path, line: int, columns: tuple[str, ...], cells: list[str]) -> None:
    if len(cells) != len(columns):
        raise InputError(
            f"{path}, line {line}: {len(cells)} cells, expected {len(columns)} as in the header; put text "
            f"that holds commas into quotes{_separator_hint(columns)}"
        )


def _separator_hint(columns: Sequence[str]) -> str:
    """Excel writes semicolons in half of Europe."""
    first = columns[0] if columns else ""
    odd = next((name for name, sign in (("semicolons", ";"), ("tabs", "\t")) if sign in first), None)
    return (
        f" (it is separated by {odd}: the separator must be a comma, so save it with commas)" if odd else ""
    )
