"""The organisers' prediction format."""

import pytest

from blended.data import InputError, Mixture
from blended.eval.official import read_predictions


def one(*entries: tuple[str, object]) -> Mixture:
    listed = [{"emotion": emotion, "salience": salience} for emotion, salience in entries]
    return read_predictions({"clip": listed})["clip"]


def test_names_lose_their_media_suffix() -> None:
    entries = [{"emotion": "ang", "salience": 70}, {"emotion": "hap", "salience": 30}]
    assert list(read_predictions({"test_0001.mov": entries, "A1_ang_int1_ver1": entries})) == [
        "test_0001",
        "A1_ang_int1_ver1",
    ]


@pytest.mark.parametrize("salience", [1.0, 100, "100.0", 37])
def test_one_emotion_is_the_whole_whatever_is_written(salience: object) -> None:
    assert one(("sad", salience)) == Mixture.single("sad")


def test_shares_may_be_text() -> None:
    assert one(("ang", "30.4"), ("hap", "69.6")).rounded() == {"ang": 30, "hap": 70}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "prediction of 'clip': a mixture has one or two emotions, got 0"),
        ([("ang", 50), ("ang", 50)], r"prediction of 'clip' names an emotion twice: \['ang', 'ang'\]"),
        ([("ang", 0.7), ("hap", 0.3)], "prediction of 'clip': shares must add up to 100 percent"),
        ([("ang", "many"), ("hap", 30)], "prediction of 'clip': could not convert string to float: 'many'"),
        ([("ang", 40), ("hap", 30), ("sad", 30)], "'clip': a mixture has one or two emotions, got 3"),
    ],
)  # fmt: skip
def test_a_wrong_prediction_is_named(entries: list[tuple[str, object]], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        one(*entries)


def test_an_entry_without_salience_is_named() -> None:
    with pytest.raises(InputError, match=r"'clip' lacks 'salience': \{'emotion': 'ang'\}"):
        read_predictions({"clip": [{"emotion": "ang"}]})
