"""Printed numbers: different ones look different, zero looks like zero, and nothing else does."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from blended.data.digits import apart, chance, decimals, plain, signed, significant, small

SETTINGS = st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=12)
CLOSE = st.tuples(st.floats(1e-9, 1e6), st.lists(st.integers(0, 99999), min_size=2, max_size=9, unique=True))
"""A value, and how many parts in a million each setting is above it."""
SCORES = st.lists(st.integers(0, 10**6).map(lambda n: n / 10**6), min_size=1, max_size=12)


@given(values=SETTINGS)
def test_settings_that_differ_are_printed_differently(values: list[float]) -> None:
    """And read back as themselves, up to the digits that were left out."""
    exact = {float(f"{value:.12g}") for value in values}
    printed = apart(values)
    assert len({float(text) for text in printed}) == len(exact)
    for value, text in zip(values, printed, strict=True):
        assert math.isclose(float(text), value, rel_tol=0.5 * 10 ** (1 - significant(values)) * 1.001)


@given(close=CLOSE)
def test_no_more_digits_than_needed(close: tuple[float, list[int]]) -> None:
    values = [close[0] * (1 + part / 1e6) for part in close[1]]
    digits = significant(values)
    assert len(set(apart(values))) == len({float(f"{value:.12g}") for value in values})
    if digits == 3:
        return
    shorter = {float(plain(value, digits - 1)) for value in values}
    assert len(shorter) < len({float(f"{value:.12g}") for value in values})


@given(scores=SCORES)
def test_scores_of_a_ranking_that_differ_are_printed_differently(scores: list[float]) -> None:
    places = decimals(scores)
    assert 3 <= places <= 6
    assert len({f"{score:.{places}f}" for score in scores}) == len(set(scores))


@given(value=st.floats(-1, 1))
def test_only_zero_is_printed_as_zero(value: float) -> None:
    assume(value == 0 or abs(value) > 1e-11)
    for text in (small(value), signed(value)):
        assert (float(text) == 0) is (value == 0)
    assert signed(value).startswith("+") is (value > 0)


@given(probability=st.floats(0, 1))
def test_only_certainty_is_printed_as_certain(probability: float) -> None:
    text = chance(probability)
    assert len(text) == 4
    assert (text in ("0.00", "1.00")) is (probability in (0.0, 1.0))


@pytest.mark.parametrize(
    ("values", "printed"),
    [
        ([2.8e-4, 1.1e-4], ["0.00028", "0.00011"]),
        ([0.0, 1e-5], ["0", "1e-05"]),
        ([256.0, 1024.0], ["256", "1024"]),
        ([-0.5, 0.5], ["-0.5", "0.5"]),
    ],
)
def test_examples(values: list[float], printed: list[str]) -> None:
    assert apart(values) == printed
