"""Tables that other people wrote, CSV or Parquet: every cell as text, every row with its line.

The one reader of CSV: corpora, folds, features and scores come through it, so that a broken file is answered
with the same sentence wherever it is met.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import polars as pl

from blended.data.errors import InputError

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True, eq=False)
class TextTable:
    """A table as it was typed."""

    path: Path
    columns: tuple[str, ...]
    """Names without the spaces around them, in the order of the file."""
    lines: tuple[int, ...]
    """[row] line in the file; of a Parquet file the row, from 1."""
    cells: Mapping[str, list[str]]
    """Column -> [row] cells without the spaces around them; an empty cell is empty text."""
    separator: str = ","
    """What stands between the cells of a row."""

    @property
    def rows(self) -> tuple[tuple[int, dict[str, str]], ...]:
        """Line and cells by column, row by row."""
        named = (dict(zip(self.cells, row, strict=True)) for row in zip(*self.cells.values(), strict=True))
        return tuple(zip(self.lines, named, strict=True))


def read_text_table(path: Path, required: Sequence[str], what: str, *, separators: str = ",") -> TextTable:
    """A CSV (UTF-8, any line ends) or Parquet file with a header; `what` says what it should be.

    Of several `separators` the one that the header has most of counts. Lists in Parquet read `[1 2]`. Raises
    InputError naming the file, the line and the remedy for a file that is missing, empty, not UTF-8,
    separated otherwise, has rows of another length than its header, or lacks required columns.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: expected {what}")
    table = _read_parquet(path) if path.suffix.lower() in PARQUET else _read_csv(path, separators)
    if missing := [column for column in required if column not in table.columns]:
        raise InputError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}"
            f"{_separator_hint(table.columns)}"
        )
    if not table.lines:
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
        frame = pl.read_parquet(path)
        lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List | pl.Array)]
        as_text = [
            pl.format("[{}]", pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(" ")).alias(name)
            for name in lists
        ]
        frame = frame.with_columns(as_text).with_columns(pl.all().cast(pl.String, strict=False).fill_null(""))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}): write it again") from error
    cells = {name: frame[name].to_list() for name in frame.columns}
    return TextTable(path, tuple(frame.columns), tuple(range(1, frame.height + 1)), cells)


def _read_csv(path: Path, separators: str) -> TextTable:
    text = read_utf8(path)
    separator = max(separators, key=text.partition("\n")[0].count)
    # Spaces may stand between a separator and a quote.
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        _check_header(path, columns)
        for cells in reader:
            if any(cells):
                _check_length(path, reader.line_num, columns, cells)
                lines.append(reader.line_num)
                rows.append(cells)
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: cannot be read as CSV ({error}); mend its quotes"
        ) from error
    by_column = zip(*rows, strict=True) if rows else ([] for _ in columns)
    stripped = {
        name: [cell.strip() for cell in cells] for name, cells in zip(columns, by_column, strict=True)
    }
    return TextTable(path, columns, tuple(lines), stripped, separator)


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
