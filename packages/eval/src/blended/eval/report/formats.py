"""A table of plain cells, as CSV for programs, LaTeX for papers and Markdown for threads."""

import csv
import io
from dataclasses import dataclass, replace
from typing import Literal

from blended.data import digits as digits_of
from blended.data.digits import decimals, plain, significant
from blended.eval.estimate import Estimate

Scale = Literal["share", "free", "rank"]
MINUS, DASH, NO_BREAK = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"

_LATEX_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


@dataclass(frozen=True, slots=True)
class MeanStd:
    """A published accuracy, a mean over folds in [0, 1]."""

    value: float
    std: float | None = None
    """Sample standard deviation over the five folds; None where none was published."""


Cell = str | int | float | Estimate | MeanStd | None


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column."""

    name: str
    signed: bool = False
    """Differences, written with their sign."""
    p_value: bool = False
    """Never written as zero."""
    long: bool = False
    """Too long for a page: in the CSV only."""
    scale: Scale = "share"
    """`share`: three decimals. `free`: of unknown scale, such as a learning rate. `rank`: what the rows
    are ranked by. The latter two have as many digits as tell the rows of a table apart."""
    digits: int = 3
    """Significant ones of `free`, decimals of `rank`; the table sets it by its rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, rows, and what they show."""

    name: str
    """For files and anchors, such as `runs`."""
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    warning: str = ""
    """What must be said wherever the table goes; a page says it once, LaTeX in the caption."""

    def __post_init__(self) -> None:
        """Gives every column the digits that its rows need."""
        found = tuple(replace(one, digits=self._digits(place)) for place, one in enumerate(self.columns))
        object.__setattr__(self, "columns", found)

    def _digits(self, place: int) -> int:
        column = self.columns[place]
        values = [row[place] for row in self.rows]
        given = [value.value if isinstance(value, Estimate) else value for value in values]
        numbers = [value for value in given if isinstance(value, float)]
        if column.scale == "share":
            return column.digits
        return significant(numbers) if column.scale == "free" else decimals(numbers)


def number(value: float, *, signed: bool = False, digits: int = 3) -> str:
    """So many decimals, with a true minus sign; only zero is printed as zero.

    >>> number(-0.0421, signed=True), number(0.5), number(0.0, signed=True), number(-0.0003)
    ('−0.042', '0.500', '0.000', '−0.0003')
    """
    text = digits_of.signed(value, digits)
    return (text if signed else text.lstrip("+")).replace("-", MINUS)


def interval(estimate: Estimate, *, signed: bool = False) -> str:
    """Both ends in brackets, or that there are none.

    >>> interval(Estimate(0.2, 0.15, 0.25)), interval(Estimate(0.2, None, None))
    ('[0.150,\xa00.250]', '(no\xa0interval)')
    """
    if estimate.ends is None:
        return f"(no{NO_BREAK}interval)"
    low, high = (number(end, signed=signed) for end in estimate.ends)
    return f"[{low},{NO_BREAK}{high}]"


def cell_text(cell: Cell, column: Column) -> str:
    """As read by people; nothing is a dash."""
    if cell is None:
        return DASH
    if isinstance(cell, Estimate):
        value = number(cell.value, signed=column.signed, digits=_decimals(column))
        return f"{value} {interval(cell, signed=column.signed)}"
    if isinstance(cell, MeanStd):
        return number(cell.value) + (f" ± {number(cell.std)}" if cell.std is not None else "")
    if not isinstance(cell, float):
        return str(cell)
    if column.p_value and cell < 0.001:
        return "< 0.001"
    if column.scale == "free":
        return plain(cell, column.digits).replace("-", MINUS)
    return number(cell, signed=column.signed, digits=_decimals(column))


def _decimals(column: Column) -> int:
    return column.digits if column.scale == "rank" else 3


def to_csv(table: Table) -> str:
    """One header line; an estimate takes three columns, `x`, `x_low` and `x_high`, in full precision, a
    spread two, `x` and `x_std`."""
    endings = [_csv_endings(table, place) for place in range(len(table.columns))]
    heads: list[str] = []
    for column, own in zip(table.columns, endings, strict=True):
        key = column.name.lower().replace(" ", "_").replace("-", "_").replace(".", "")
        heads += [f"{key}{ending}" for ending in own]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(heads)
    for row in table.rows:
        writer.writerow([x for cell, own in zip(row, endings, strict=True) for x in _csv_values(cell, own)])
    return buffer.getvalue()


def _csv_endings(table: Table, place: int) -> list[str]:
    cells = [row[place] for row in table.rows]
    endings = [""]
    endings += ["_low", "_high"] if any(isinstance(cell, Estimate) for cell in cells) else []
    endings += ["_std"] if any(isinstance(cell, MeanStd) for cell in cells) else []
    return endings


def _csv_values(cell: Cell, endings: list[str]) -> list[Cell]:
    values: dict[str, Cell] = {"": cell}
    if isinstance(cell, Estimate):
        values = {"": cell.value, "_low": cell.low, "_high": cell.high}
    elif isinstance(cell, MeanStd):
        values = {"": cell.value, "_std": cell.std}
    return [values.get(ending) for ending in endings]


def to_latex(table: Table) -> str:
    """A `table` with booktabs rules; intervals are small. Long columns are left out."""
    places = _printed(table)
    caption = f"{table.caption} {table.warning}".strip()
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(caption)}}}",
        rf"\label{{tab:{table.name}}}",
    ]
    lines += [rf"\begin{{tabular}}{{{_alignment(table, places)}}}", r"\toprule"]
    lines.append(" & ".join(_latex(table.columns[place].name) for place in places) + r" \\")
    lines.append(r"\midrule")
    for row in table.rows:
        lines.append(" & ".join(_latex_cell(row[place], table.columns[place]) for place in places) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def to_markdown(table: Table) -> str:
    """A pipe table, without its caption. Long columns are left out."""
    places = _printed(table)
    heads = [_markdown(table.columns[place].name) for place in places]
    rules = ["---:" if align == "r" else "---" for align in _alignment(table, places)]
    lines = [heads, rules]
    lines += [
        [_markdown(cell_text(row[place], table.columns[place])) for place in places] for row in table.rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def is_numeric(table: Table, place: int) -> bool:
    """Whether a column is aligned to the right."""
    return all(not isinstance(row[place], str) for row in table.rows)


def _printed(table: Table) -> list[int]:
    return [place for place, column in enumerate(table.columns) if not column.long]


def _alignment(table: Table, places: list[int]) -> str:
    return "".join("r" if is_numeric(table, place) else "l" for place in places)


def _latex_cell(cell: Cell, column: Column) -> str:
    if isinstance(cell, Estimate):
        value = number(cell.value, signed=column.signed, digits=_decimals(column))
        bounds = interval(cell, signed=column.signed)
        return rf"{_latex(value)} {{\footnotesize {_latex(bounds)}}}"
    return _latex(cell_text(cell, column))


def _latex(text: str) -> str:
    escaped = text.translate(_LATEX_ESCAPES)
    return (
        escaped.replace(MINUS, "$-$")
        .replace(DASH, "--")
        .replace(NO_BREAK, "~")
        .replace("\n", " ")
        .replace("≈", r"$\approx$")
        .replace("±", r"$\pm$")
    )


def _markdown(text: str) -> str:
    """Names are text: no markup, no cell of their own, no line break."""
    for character in "\\`*_[]<>|":
        text = text.replace(character, "\\" + character)
    # Intervals are the one use of brackets that is ours; followed by no parenthesis, they are no link.
    return text.replace("\\[", "[").replace("\\]", "]").replace("\n", " ")
