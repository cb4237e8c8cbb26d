"""The curve joins its two ends, and shows who pays for too few clips."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from blended.data import InputError, Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.enrolment_curve import enrolment_curve, read_curve, write_curve
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.protocol import Protocol


def habits(seed: int = 0) -> tuple[Evidence, list[Mixture]]:
    """Six actors with a strong habit each: normalisation is worth much."""
    rng = np.random.default_rng(seed)
    truth = list(SPACE.states) * 6
    actors = np.repeat(np.arange(6), 36)
    signal = np.log(np.array([SPACE.target(mixture) for mixture in truth]) + 0.05)
    logits = signal + rng.normal(size=signal.shape) * 0.5 + rng.normal(size=(6, 6))[actors] * 3
    return Evidence(logits[:, None], actors, actors % 2, SPACE), truth


def test_the_ends_are_the_protocols_and_more_clips_are_better() -> None:
    evidence, truth = habits()
    protocol = Protocol("templates", "actor")
    points = enrolment_curve(evidence, truth, protocol, ks=(1, 24), repeats=3)
    assert [(point.clips, point.drawn) for point in points] == [
        ("none", ""), ("1", "any"), ("24", "any"), ("1", "few sets"), ("24", "few sets"), ("all", ""),
    ]  # fmt: skip
    none, one, many, *_, everything = points
    assert none.score.value == evaluate(evidence, truth, Protocol("templates")).measured["score"].value
    assert everything.score.value == evaluate(evidence, truth, protocol).measured["score"].value
    assert (none.gain.value, none.gain.low, none.gain.high) == (0, 0, 0)
    assert none.score.value < one.score.value < many.score.value
    assert many.gain.span[0] > 0 and many.gain.value == pytest.approx(many.score.value - none.score.value)
    assert all(point.score.span[0] < point.score.value < point.score.span[1] for point in points)


def test_the_mean_is_over_draws_and_the_seed_repeats_it() -> None:
    evidence, truth = habits()
    rules = Protocol("templates", "actor")
    first, again = (enrolment_curve(evidence, truth, rules, ks=(8,), repeats=2, seed=4) for _ in range(2))
    assert first == again
    plain = [
        evaluate(evidence, truth, Protocol("templates", "actor", seed=seed, enrol_clips=8)) for seed in (4, 5)
    ]
    expected = np.mean([one.measured["score"].value for one in plain])
    assert first[1].score.value == pytest.approx(expected)


def test_the_csv_has_a_row_per_point(tmp_path: Path) -> None:
    evidence, truth = habits()
    points = enrolment_curve(evidence, truth, Protocol("templates"), ks=(2,), repeats=1)
    write_curve(tmp_path / "curve.csv", points)
    table = pl.read_csv(tmp_path / "curve.csv")
    assert table.columns == [
        "clips", "drawn", "repeats", "score", "score_low", "score_high", "gain", "gain_low", "gain_high",
    ]  # fmt: skip
    assert table["clips"].to_list() == ["none", "2", "2", "all"]
    assert table["score"][1] == points[1].score.value
    assert read_curve(tmp_path / "curve.csv") == points


def test_what_is_refused() -> None:
    evidence, truth = habits()
    with pytest.raises(InputError, match="no actor has 36 clips beside the one judged: give at most 35"):
        enrolment_curve(evidence, truth, Protocol("thresholds"), ks=(8, 36))
    with pytest.raises(InputError, match="repeats must be 1 or more, got 0"):
        enrolment_curve(evidence, truth, Protocol("thresholds"), repeats=0)
    with pytest.raises(InputError, match="an enrolment curve is cross-fold, got --tune in-fold"):
        enrolment_curve(evidence, truth, Protocol("thresholds", tune="in-fold"))
    with pytest.raises(InputError, match="0 clips to enrol a person from, expected 1 or more"):
        enrolment_curve(evidence, truth, Protocol("templates"), ks=(0,), repeats=1)


def test_by_default_as_many_clips_as_there_are() -> None:
    evidence, truth = habits()
    rows = np.flatnonzero(np.arange(len(truth)) % 36 < 7)
    few = enrolment_curve(evidence.take(rows), [truth[row] for row in rows], Protocol("templates"), repeats=1)
    assert [point.clips for point in few] == ["none", "1", "2", "4", "1", "2", "4", "all"]
