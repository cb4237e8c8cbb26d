"""The published table: what it holds, and where it may stand."""

import numpy as np
import pytest

from blended.eval.report.published import PUBLISHED, MeanStd, PublishedPair


def test_rows_are_of_one_name_and_hold_accuracies() -> None:
    names = [row.system for row in PUBLISHED]
    assert len(set(names)) == len(names) == 17
    pairs = [pair for row in PUBLISHED for pair in (row.validation, row.test) if pair]
    for pair in pairs:
        for value in (pair.presence, pair.salience):
            assert value is None or 0 <= value.value < 0.5
            assert value is None or value.std is None or 0 < value.std < 0.1
    assert all("2601.13225" in row.source or "2603.23650" in row.source for row in PUBLISHED)


def test_tuned_validation_numbers_are_never_called_comparable() -> None:
    for row in PUBLISHED:
        trivial = row.system.startswith("most frequent")
        assert ("optimistic" in row.comparable) == (row.validation is not None and not trivial)
        assert "test" in row.comparable or trivial


def test_known_sums_of_the_table() -> None:
    """Column sums of the thirteen rows with features, summed apart from the rows."""
    rows = [
        row for row in PUBLISHED if row.validation and row.validation.presence and row.validation.presence.std
    ]
    assert len(rows) == 13
    tests = [row.test.presence.value for row in rows if row.test and row.test.presence]
    assert np.sum(tests) == pytest.approx(3.554)
    saliences = [row.test.salience.value for row in rows if row.test and row.test.salience]
    assert np.sum(saliences) == pytest.approx(1.197)


def test_score_is_the_mean_unless_published_or_unknown() -> None:
    assert PublishedPair(MeanStd(0.4), MeanStd(0.2)).score == 0.3
    assert PublishedPair(MeanStd(0.391), MeanStd(0.168), 0.279).score == 0.279
    assert PublishedPair(None, MeanStd(0.18)).score is None
