"""Probability maps and enrolment clips on the command line of `blended evaluate`."""

import csv
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.studies.__main__ import app

ACTORS = {"A1": 0, "A2": 0, "A3": 1, "A4": 1}
COLUMNS = (
    "filename", "video_id", "mix", "emotion_1", "emotion_2", "emotion_1_salience", "emotion_2_salience",
    "version", "situation", "intensity_level", "fold",
)  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """scores.csv and metadata.csv: every state once per actor."""
    rng = np.random.default_rng(0)
    with (tmp_path / "scores.csv").open("w") as scores, (tmp_path / "metadata.csv").open("w") as labels:
        scored, labelled = csv.writer(scores), csv.writer(labels)
        scored.writerow(("filename", "fold", *EMOTIONS))
        labelled.writerow(COLUMNS)
        for actor, state in product(ACTORS, SPACE.states):
            (first, p), (second, q) = (*state.rounded().items(), ("", ""))[:2]
            blend = [second, p, q] if state.is_blend else ["", "", ""]
            kind = f"mix_{first}_{second}_{p}_{q}" if state.is_blend else f"{first}_int1"
            kind = "neu_sit1" if first == "neu" else kind
            name, fold = f"{actor}_{kind}_ver1", ACTORS[actor]
            logits = np.log(np.array(SPACE.target(state)) + 0.05) + rng.normal(size=6) * 0.5
            scored.writerow((name, fold, *(3 * logits).tolist()))
            labelled.writerow((name, actor, int(state.is_blend), first, *blend, 1, "", "", fold))
    return str(tmp_path / "scores.csv"), str(tmp_path / "metadata.csv")


def run(files: tuple[str, str], *arguments: str) -> str:
    ran = CliRunner().invoke(app, ["evaluate", files[0], "--metadata", files[1], *arguments])
    assert ran.exception is None, ran.exception
    return ran.output


@pytest.mark.parametrize("name", ["temperature", "vector", "isotonic"])
def test_calibration_errors_before_and_after(files: tuple[str, str], tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.json"
    printed = run(files, "--calibrate", name, "--normalise", "actor", "--json", str(out))
    assert "calibration error, mean over emotions" in printed
    result = json.loads(out.read_text())
    assert result["calibrate"] == name
    errors = result["calibration_error"]
    assert set(errors) == {
        f"{what}_{when}" for what in ("classwise", "confidence") for when in ("before", "after")
    }
    assert errors["classwise_after"] < errors["classwise_before"]


def test_enrolment_clips_and_the_curve(files: tuple[str, str], tmp_path: Path) -> None:
    out, curve = tmp_path / "out.json", tmp_path / "curve.csv"
    run(
        files, "--decision", "templates", "--normalise", "actor", "--enrol-clips", "12",
        "--json", str(out), "--enrolment-curve", str(curve),
    )  # fmt: skip
    assert json.loads(out.read_text())["enrol_clips"] == 12
    rows = list(csv.DictReader(curve.open()))
    assert [row["clips"] for row in rows if row["drawn"] != "few sets"][:2] == ["none", "1"]
    assert rows[-1]["clips"] == "all"


def test_normalise_none_has_no_enrolment(files: tuple[str, str]) -> None:
    ran = CliRunner().invoke(app, ["evaluate", files[0], "--metadata", files[1], "--enrol-clips", "12"])
    assert "--normalise is 'none': use --normalise actor" in str(ran.exception)


def test_the_flag_of_before_is_answered_with_the_one_of_now(files: tuple[str, str]) -> None:
    for old, now in (
        (("--probabilities", "vector"), "write --calibrate vector"),
        (("--calibrate", "actor"), "write --normalise actor"),
    ):
        ran = CliRunner().invoke(app, ["evaluate", files[0], "--metadata", files[1], *old])
        assert ran.exit_code and now in str(ran.exception)


def test_one_clip_of_a_person_is_enough_and_a_minimum_can_be_asked_for(
    files: tuple[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    one = ("--normalise", "actor", "--enrol-clips", "1", "--json", str(out))
    assert "scores per actor from 1 clip, transductive" in " ".join(run(files, *one).split())
    assert "enrol_minimum" not in json.loads(out.read_text())
    run(files, *one, "--enrol-minimum", "4")
    few = json.loads(out.read_text())
    run(files, "--json", str(out))
    assert few["enrol_minimum"] == 4 and few["score"] == json.loads(out.read_text())["score"]
