"""A measure is a row of a table: a new one is measured, given an interval, shown and written down."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from blended.data import Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.intervals import spread
from blended.eval.measures import MEASURES, Measure, Terms, alone, measures_of, spread_of
from blended.eval.protocol import Protocol
from blended.eval.scoring import evaluation_json
from blended.eval.tasks import TASKS

ACTORS = np.repeat(np.arange(8), 18)
TRUTH = list(SPACE.states) * 4


def _both_right(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> np.ndarray:
    """1 where emotions are right, -1 where none is, in between 0."""
    shared = [len(t.emotions & d.emotions) for t, d in zip(truth, decided, strict=True)]
    exact = [t.emotions == d.emotions for t, d in zip(truth, decided, strict=True)]
    return np.where(exact, 1.0, np.where(np.array(shared) > 0, 0.0, -1.0))


def mean_overlap(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> float:
    return float(_both_right(truth, decided).mean())


def overlap_terms(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> Terms:
    ones = np.ones((len(truth), 1))
    return Terms(np.stack([_both_right(truth, decided)[:, None], ones], axis=-1), ones)


TOY = Measure(
    "mean_overlap", "overlap", "Overlap", "mean overlap", ("mixture",), mean_overlap, overlap_terms, alone,
    lowest=-1.0,
)  # fmt: skip


@pytest.fixture
def with_toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(MEASURES, "mean_overlap", TOY)
    yield


def evidence() -> Evidence:
    rng = np.random.default_rng(0)
    targets = np.array([SPACE.target(mixture) for mixture in TRUTH])
    return Evidence(6 * targets[:, None] + rng.normal(size=(144, 1, 6)), ACTORS, ACTORS % 2, SPACE)


@pytest.mark.usefixtures("with_toy")
def test_a_measure_in_the_table_is_in_every_output() -> None:
    result = evaluate(evidence(), TRUTH, Protocol("templates"))
    assert [*result.measured] == ["presence_accuracy", "salience_accuracy", "score", "mean_overlap"]
    by_fold = []
    for fold in (0, 1):
        rows = np.flatnonzero(fold == ACTORS % 2)
        by_fold.append(mean_overlap([TRUTH[row] for row in rows], [result.mixtures[row] for row in rows]))
    estimate = result.measured["mean_overlap"]
    assert estimate.value == pytest.approx(np.mean(by_fold))
    low, high = estimate.ends or (1, 1)
    assert -1 < low < estimate.value < high < 1
    written = evaluation_json(result)
    assert written["mean_overlap"] == estimate.value and written["overlap_interval"] == [low, high]
    assert [fold["mean_overlap"] for fold in written["folds"]] == pytest.approx(by_fold)


@pytest.mark.usefixtures("with_toy")
def test_measures_of_one_kind_do_not_change_another() -> None:
    """The official ones have the bits that they have alone; the toy has the interval that it has alone."""
    result = evaluate(evidence(), TRUTH, Protocol("templates"))
    where = (ACTORS, ACTORS % 2)
    both = spread_of(measures_of("mixture"), TRUTH, result.mixtures, *where)
    official = spread_of(measures_of("mixture")[:3], TRUTH, result.mixtures, *where)
    np.testing.assert_array_equal(both.values[:3], official.values)
    np.testing.assert_array_equal(both.parts[:, :3], official.parts)
    assert both.estimates[:3] == official.estimates
    terms = overlap_terms(TRUTH, result.mixtures)
    own = spread(terms.values, terms.counted, *where, terms.statistic, lambda _: np.eye(1), lowest=-1.0)
    assert both.estimates[3] == own.estimates[0]


def taken(labels: Any, rows: np.ndarray) -> Any:
    return labels[rows] if isinstance(labels, np.ndarray) else [labels[row] for row in rows]


def test_every_measure_is_its_function_averaged_over_folds() -> None:
    """Two definitions, one number: the pure function, and the sums that intervals are made of."""
    rng = np.random.default_rng(1)
    for measure in MEASURES.values():
        for task in measure.tasks:
            truth: Any = rng.random((144, 3))
            said: Any = np.clip(truth + rng.normal(0, 0.2, (144, 3)), 0, 1)
            if task != "intensities":
                states = SPACE.states if task == "mixture" else SPACE.states[:6]
                truth = [states[number % len(states)] for number in range(144)]
                said = [true if rng.random() < 0.5 else states[0] for true in truth]
            found = spread_of([measure], truth, said, ACTORS, ACTORS % 2).values[0]
            parts = []
            for fold in (0, 1):
                rows = np.flatnonzero(fold == ACTORS % 2)
                parts.append(measure.function(*(taken(one, rows) for one in (truth, said))))
            assert found == pytest.approx(np.mean(parts)), measure.key
            assert measure.lowest <= found <= 1


def test_keys_are_those_of_the_table_and_headlines_are_measured() -> None:
    assert [one.key for one in MEASURES.values()] == [*MEASURES]
    for task in TASKS.values():
        assert task.headline in task.measures
