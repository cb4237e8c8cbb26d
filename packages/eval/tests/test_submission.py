"""Submissions: what is written, and every rule that refuses one."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from blended.data import InputError, Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.official import (
    INNER_NAME,
    read_predictions,
    read_submission,
    submission,
    validate_submission,
    write_submission,
)

NAMES = tuple(f"test_{number:04d}.mov" for number in range(1, 37))
DECIDED = dict(zip(NAMES, SPACE.states, strict=True))


def entry(emotion: object, salience: object) -> dict[str, object]:
    return {"emotion": emotion, "salience": salience}


def changed(*entries: object) -> dict[str, Any]:
    mapping: dict[str, Any] = submission(DECIDED)
    mapping["predictions"]["test_0007.mov"] = [*entries]
    return mapping


def test_every_state_passes_and_is_read_back() -> None:
    mapping = submission(DECIDED)
    assert validate_submission(mapping, NAMES, SPACE) == DECIDED
    read = read_predictions(mapping["predictions"])
    assert read == {name.removesuffix(".mov"): mixture for name, mixture in DECIDED.items()}


def test_the_form_is_the_organisers() -> None:
    mapping = submission({"test_0001.mov": Mixture({"ang": 30, "sad": 70}), "a": Mixture.single("neu")})
    assert mapping == {
        "predictions": {
            "test_0001.mov": [entry("sad", 70), entry("ang", 30)],
            "a": [entry("neu", 100)],
        }
    }


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "'test_0007.mov' has 0 emotions, expected a list of one or two"),
        ([entry("ang", 40), entry("hap", 30), entry("sad", 30)], "'test_0007.mov' has 3 emotions, expected"),
        ([entry("neu", 50), entry("sad", 50)], "has 'neu' in a blend with 'sad', but 'neu' only ever stands"),
        ([entry("ang", 60), entry("sad", 40)], r"ang\+sad:60/40, expected shares of 100, 50/50 or 70/30"),
        ([entry("ang", 70), entry("sad", 20)], "'test_0007.mov': shares must add up to 100 percent"),
        ([entry("ang", 0.7), entry("sad", 0.3)], "shares must add up to 100 percent"),
        ([entry("sad", 1.0)], "'test_0007.mov': shares must add up to 100 percent"),
        ([entry("ang", 50), entry("ang", 50)], "'test_0007.mov' names 'ang' twice"),
        ([entry("angr", 100)], "'test_0007.mov': unknown emotion 'angr': did you mean 'ang'"),
        ([entry("ang", "100")], "expected {'emotion': a name, 'salience': a number of percent}"),
        ([entry("ang", True)], "expected {'emotion': a name, 'salience': a number of percent}"),
        ([entry(3, 100)], "expected {'emotion': a name"),
        ([{"emotion": "ang"}], "has the entry {'emotion': 'ang'}, expected"),
        (["ang"], "has the entry 'ang', expected"),
        ([entry("ang", float("nan"))], "every share must be a positive number"),
    ],
)
def test_a_wrong_answer_is_named(entries: list[object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        validate_submission(changed(*entries), NAMES, SPACE)


def test_an_answer_that_is_no_list() -> None:
    mapping: dict[str, Any] = submission(DECIDED)
    mapping["predictions"]["test_0002.mov"] = "ang"
    with pytest.raises(InputError, match=r"'test_0002.mov' has 'ang', expected a list"):
        validate_submission(mapping, NAMES, SPACE)


def test_missing_clips_are_counted_and_named() -> None:
    mapping = submission({name: mixture for name, mixture in DECIDED.items() if name not in NAMES[3:8]})
    sentence = (
        r"31 predictions, expected exactly the 36 test clips: 'test_0004.mov', 'test_0005.mov', "
        r"'test_0006.mov' and 2 more are missing"
    )
    with pytest.raises(InputError, match=sentence):
        validate_submission(mapping, NAMES, SPACE)


def test_a_wrong_key_gets_the_nearest_right_one() -> None:
    wrong = {name.replace("0009", "009"): mixture for name, mixture in DECIDED.items()}
    with pytest.raises(InputError, match=r"'test_009.mov' is not among them, did you mean 'test_0"):
        validate_submission(submission(wrong), NAMES, SPACE)


@pytest.mark.parametrize("mapping", [{}, {"a": 1}, {"predictions": []}, {"predictions": {}, "b": 2}])
def test_the_outer_object(mapping: dict[str, object]) -> None:
    with pytest.raises(InputError, match="a submission is one object"):
        validate_submission(mapping, NAMES, SPACE)


def test_the_zip_holds_one_json_and_repeats(tmp_path: Path) -> None:
    first, second = tmp_path / "a.zip", tmp_path / "deeper" / "b.zip"
    for path in (first, second):
        write_submission(path, submission(DECIDED))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == [INNER_NAME]
        assert json.loads(archive.read(INNER_NAME)) == submission(DECIDED)
    assert read_submission(first) == submission(DECIDED)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.zip"]


def test_another_name_than_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got the name 's.json': call it submission.zip"):
        write_submission(tmp_path / "s.json", submission(DECIDED))


def test_what_is_no_submission_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    path.write_text("no zip")
    with pytest.raises(InputError, match="cannot be read as a zip"):
        read_submission(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", "{")
    with pytest.raises(InputError, match="holds no JSON"):
        read_submission(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.json", "{}")
    with pytest.raises(InputError, match="holds 2 files"):
        read_submission(path)
