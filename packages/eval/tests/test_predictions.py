"""The predictions file: what is written is read, and columns are named as other people's scripts expect."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from blended.data import InputError, LabelSpace, Mixture
from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.eval.predictions import Predictions, read_predictions, write_predictions

RNG = np.random.default_rng(0)
STATES = RNG.dirichlet(np.ones(36), 3)
MIXED = Predictions(
    clip_ids=("a", "b", "c"),
    actors=("A1", "A1", ""),
    folds=(0, 1, None),
    probabilities=RNG.dirichlet(np.ones(6), 3),
    decided=(Mixture({"ang": 30, "hap": 70}), Mixture.single("neu"), Mixture.single("sad")),
    truth=(Mixture({"ang": 50, "hap": 50}), Mixture.single("neu"), None),
    states=STATES,
)
INTENSE = Predictions(
    clip_ids=("a", "b"),
    actors=("A1", "A2"),
    folds=(0, 1),
    probabilities=RNG.random((2, 2)),
    true_intensities=np.array([[0.2, 0.7], [np.nan, np.nan]]),
)
INTENSITIES = LabelSpace(("awe", "joy"), "intensities")


def same(one: Predictions, other: Predictions) -> None:
    for name in ("clip_ids", "actors", "folds", "decided", "truth"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("probabilities", "states", "true_intensities"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize(("given", "space"), [(MIXED, SPACE), (INTENSE, INTENSITIES)])
def test_what_is_written_is_read(given: Predictions, space: LabelSpace, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", given, space)
    same(read_predictions(tmp_path / "p.parquet", space), given)


def test_columns_are_named_for_other_programs(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", MIXED, SPACE)
    table = pl.read_parquet(tmp_path / "p.parquet")
    names = ["filename", "actor", "fold", *(f"p_{e}" for e in EMOTIONS)]
    assert table.columns[:9] == names and table.columns[-2:] == ["decided", "truth"]
    place = SPACE.states.index(Mixture({"ang": 30, "hap": 70}))
    assert table["state_ang+hap:30/70"][0] == STATES[0, place]
    assert table["decided"][0] == '{"ang": 30.0, "hap": 70.0}' and table["truth"][2] is None
    write_predictions(tmp_path / "i.parquet", INTENSE, INTENSITIES)
    columns = pl.read_parquet(tmp_path / "i.parquet").columns
    assert columns == ["filename", "actor", "fold", "p_awe", "p_joy", "truth_awe", "truth_joy"]


def test_evidence_has_states_and_intensities_stay_as_they_are() -> None:
    evidence = MIXED.evidence(SPACE)
    assert evidence.states is not None
    np.testing.assert_allclose(np.exp(evidence.states), STATES)
    np.testing.assert_array_equal(INTENSE.evidence(INTENSITIES).logits[:, 0], INTENSE.probabilities)


@pytest.mark.parametrize("given", [MIXED, INTENSE])
def test_some_rows(given: Predictions) -> None:
    part = given.take([1])
    assert part.clip_ids == ("b",) and part.decided == given.decided[1:2] and part.truth == given.truth[1:2]
    np.testing.assert_array_equal(part.probabilities, given.probabilities[1:2])


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist: train the run again"):
        read_predictions(tmp_path / "gone.parquet", SPACE)
    write_predictions(tmp_path / "p.parquet", INTENSE, INTENSITIES)
    with pytest.raises(InputError, match=r"lacks the column\(s\) p_ang, .*it was written for other labels"):
        read_predictions(tmp_path / "p.parquet", SPACE)
    with pytest.raises(InputError, match=r"label states have shape \(3, 36\), expected \(3, 2\)"):
        pair = LabelSpace(EMOTIONS, "mixture", SPACE.states[:2])
        MIXED.evidence(pair)
