"""Windows cover a file from start to end."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blended.data import InputError
from blended.studies.windows import SLACK_SECONDS, Windows, spans

seconds = st.floats(0.2, 5.0)


@given(st.floats(0, 2), st.floats(0.1, 100), seconds, st.floats(0.05, 1))
def test_windows_cover_everything(start: float, length: float, window: float, part: float) -> None:
    windows = Windows(window, max(0.2, window * part))
    found = spans(start, start + length, windows)
    assert found[0][0] == start and found[-1][1] == pytest.approx(start + length, abs=2 * SLACK_SECONDS)
    for (first, end), (second, _) in pairwise(found):
        assert first < second <= end + 1e-9
    if len(found) > 1:
        assert all(b - a == pytest.approx(window) for a, b in found)


def test_a_short_file_is_one_window() -> None:
    assert spans(0.1, 0.3, Windows()) == [(0.1, 0.3)]


@pytest.mark.parametrize(
    ("window", "hop", "sentence"),
    [
        (0.1, 0.1, "windows of 0.1 s, expected 0.2 s or more"),
        (float("nan"), 1.0, "windows of nan s"),
        (3.0, 0.0, "a hop of 0 s, expected 0.2 s to the length of a window"),
        (1.0, 2.0, "a hop of 2 s, expected .* so that nothing is skipped"),
    ],
)
def test_windows_that_cannot_be_cut(window: float, hop: float, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Windows(window, hop)
