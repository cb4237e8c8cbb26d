"""Tables for people: the same text in a script, a terminal and a notebook."""

from collections.abc import Sequence
from html import escape


class Shown(str):
    """Text that Python's prompt and notebooks show as it would be printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<pre>{escape(self)}</pre>"


def shown_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *notes: str) -> Shown:
    """Columns under their heads, the first to the left and the others to the right; notes below.

    >>> shown_table("two", ("name", "score"), [("one", ".25"), ("other", ".125")], "of nothing")
    two
    name   score
    one      .25
    other   .125
    of nothing
    """
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *rows)
    ]
    return Shown("\n".join([*([title] if title else []), *lines, *notes]))
