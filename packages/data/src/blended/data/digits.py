"""How many digits a number is printed with: as many as tell it from its neighbours.

Scores in [0, 1] have three decimals. A learning rate has no such scale: three decimals make 2.8e-4 and 1.1e-4
the same number. This is the one place that knows how to print a value of unknown scale.
"""

from collections.abc import Iterable, Sequence

ALONE = 6
"""Significant digits of a value whose neighbours are not known."""
EXACT = 12
"""Significant digits beyond which a difference is rounding."""
MOST_DECIMALS = 6
WRITTEN_OUT = 1e7
"""Below it a number keeps all digits before its point."""


def plain(value: float, digits: int = ALONE) -> str:
    """A value of unknown scale with so many significant digits, trailing zeros left out.

    >>> plain(0.00028), plain(64.0), plain(0.0011536723992621861), plain(12345.0, 3), plain(1e-7 / 3)
    ('0.00028', '64', '0.00115367', '12345', '3.33333e-08')
    """
    before = len(str(int(abs(value)))) if 1 <= abs(value) < WRITTEN_OUT else 0
    return f"{value:.{max(digits, before)}g}"


def significant(values: Iterable[float], least: int = 3) -> int:
    """The fewest significant digits, at least `least`, that print different values differently.

    >>> significant([0.00028, 0.00011]), significant([0.00115361, 0.00115374, 0.5])
    (3, 5)
    """
    given = [*values]
    different = len({plain(value, EXACT) for value in given})
    enough = (d for d in range(least, EXACT) if len({plain(value, d) for value in given}) == different)
    return next(enough, EXACT)


def apart(values: Sequence[float], least: int = 3) -> list[str]:
    """Values of one setting side by side, each told from the others.

    >>> apart([0.00028, 0.00011]), apart([0.00115367, 0.00115412])
    (['0.00028', '0.00011'], ['0.0011537', '0.0011541'])
    """
    digits = significant(values, least)
    return [plain(value, digits) for value in values]


def decimals(values: Iterable[float], least: int = 3) -> int:
    """The fewest decimals, `least` to 6, that print different scores of a ranking differently.

    >>> decimals([0.1334, 0.1331]), decimals([0.2, 0.1]), decimals([0.1, 0.1 + 1e-12])
    (4, 3, 3)
    """
    given = [*values]
    different = len({f"{value:.{MOST_DECIMALS}f}" for value in given})
    enough = (d for d in range(least, MOST_DECIMALS) if len({f"{v:.{d}f}" for v in given}) == different)
    return next(enough, MOST_DECIMALS)


def small(value: float, places: int = 3) -> str:
    """So many decimals, but nothing that is not zero is printed as zero.

    >>> small(0.25), small(0.0004), small(-0.00002), small(0.0), small(1e-16)
    ('0.250', '0.0004', '-0.00002', '0.000', '0.000')
    """
    text = f"{value:.{places}f}"
    while float(text) == 0 and abs(value) >= 10.0**-EXACT and places < EXACT:
        places += 1
        text = f"{value:.{places}f}"
    return text


def signed(value: float, places: int = 3) -> str:
    """A difference with its sign; zero has none.

    >>> signed(0.0421), signed(-0.0003), signed(-0.0)
    ('+0.042', '-0.0003', '0.000')
    """
    text = small(value, places)
    if float(text) == 0:
        return text.lstrip("-")
    return f"+{text}" if value > 0 else text


def chance(probability: float) -> str:
    """A probability in two decimals where there is no room for more; never 0 or 1 that is neither.

    >>> chance(0.25), chance(0.004), chance(0.997), chance(0.0), chance(1.0)
    ('0.25', '<.01', '>.99', '0.00', '1.00')
    """
    if 0 < probability < 0.005:
        return "<.01"
    return ">.99" if 0.995 <= probability < 1 else f"{probability:.2f}"


def p_text(p: float) -> str:
    """A p-value that does not pretend to be zero.

    >>> p_text(0.0002), p_text(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
