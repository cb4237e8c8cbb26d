"""New recordings through a stored pipeline: as in training, elsewhere, long, short, mute, broken."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.conftest import Command

from blended.data.checksums import MANIFEST
from blended.data.corpora import blemore
from blended.data.labels import Mixture
from blended.data.media import probe
from blended.eval.official import read_predictions
from blended.studies import prediction
from blended.studies.enrolment import enrolled
from blended.studies.run_files import close_run
from blended.studies.windows import Windows
from toys.clips import write_clip

FILES = ("pipeline.json", "decision.json", "final.safetensors")
TEST_CLIPS = Path("data") / "corpora" / "demo" / "test"


def artifacts(project: Path, recipe: str) -> Path:
    return project / "runs" / "demo" / recipe / "artifacts"


def stored(project: Path, recipe: str) -> dict[str, dict[str, Any]]:
    table = pl.read_parquet(artifacts(project, recipe) / "test_predictions.parquet")
    return {row["filename"]: row for row in table.iter_rows(named=True)}


def predicted(blended: Command, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    done = blended("predict", *arguments, "--json")
    assert done.code == code, done.err
    return json.loads(done.out)


def refused(blended: Command, *arguments: str | Path, sentence: str) -> None:
    done = blended(*arguments)
    flat = " ".join(done.err.split())
    assert done.code == 1 and "Traceback" not in flat
    assert sentence in flat


@pytest.mark.parametrize("recipe", ["linear-logmel", "linear-motion", "late-both-actor"])
def test_a_clip_of_the_corpus_is_predicted_as_in_training(
    finished_project: Path, recipe: str, blended: Command
) -> None:
    """The test partition has one actor: its folder is also the person's own clips."""
    clips = finished_project / TEST_CLIPS
    enrol = ["--enrol-from", clips] if recipe.endswith("actor") else []
    found = predicted(blended, clips, "--run", recipe, "--root", finished_project, *enrol)
    expected = stored(finished_project, recipe)
    assert [Path(one["path"]).stem for one in found["predictions"]] == [*expected]
    for one, row in zip(found["predictions"], expected.values(), strict=True):
        for emotion in blemore.EMOTIONS:
            assert one["probabilities"][emotion] == pytest.approx(row[f"p_{emotion}"], abs=1e-6)
        decided = {entry["emotion"]: entry["share"] for entry in one["emotions"]}
        assert decided == json.loads(row["decided"])
        assert one["state"] == Mixture(decided).name
        assert sum(one["calibrated_probabilities"].values()) == pytest.approx(1)
        assert one["method"] == "whole file" and one["timeline"] == []
    assert found["pipeline"]["recipe"] == recipe and found["pipeline"]["synthetic"]


def test_every_choice_of_a_decision_reaches_new_files(project: Path, blended: Command) -> None:
    """Mapped probabilities and a weight of presence, trained, stored and applied again."""
    params = project / "params.yaml"
    choices = "{name: set-ratio, calibrate: vector, presence_weight: 0.8}"
    recipe = "{name: early, features: [motion], training: {max_epochs: 10}}"
    params.write_text(params.read_text() + f"  chosen:\n    fusion: {recipe}\n    decision: {choices}\n")
    done = blended("train", "chosen", "--root", project)
    assert done.code == 0, done.err
    assert "set-ratio, cross-fold, vector calibration, presence weight 0.8" in " ".join(done.out.split())
    found = predicted(blended, project / TEST_CLIPS, "--run", "chosen", "--root", project)
    expected = stored(project, "chosen")
    for one, row in zip(found["predictions"], expected.values(), strict=True):
        decided = {entry["emotion"]: entry["share"] for entry in one["emotions"]}
        assert decided == json.loads(row["decided"])
        assert one["calibrated_probabilities"] != pytest.approx(one["probabilities"], abs=1e-3)
    decision = json.loads((artifacts(project, "chosen") / "decision.json").read_text())
    assert "ScaleAndShift" in json.dumps(decision) and '"presence_weight": 0.8' in json.dumps(decision)


def test_a_pipeline_of_an_older_format_says_so(project: Path, blended: Command) -> None:
    path = artifacts(project, "linear-motion") / "pipeline.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    (path.parent / MANIFEST).unlink()
    clip = next((project / TEST_CLIPS).glob("*.mp4"))
    refused(
        blended, "predict", clip, "--run", "linear-motion", "--root", project,
        sentence="has format 1, this version of blended reads 3: train the run anew",
    )  # fmt: skip


def test_three_files_elsewhere_are_enough(finished_project: Path, tmp_path: Path, blended: Command) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in FILES:
        shutil.copy(artifacts(finished_project, "linear-motion") / name, model)
    clip = finished_project / TEST_CLIPS / "test_0001.mp4"
    one = predicted(blended, clip, "--model", model)["predictions"][0]
    row = stored(finished_project, "linear-motion")["test_0001"]
    assert one["probabilities"]["ang"] == pytest.approx(row["p_ang"], abs=1e-6)


def test_an_mlflow_run_id_and_a_folder_name_a_run(finished_project: Path, blended: Command) -> None:
    record = json.loads((artifacts(finished_project, "linear-motion") / "run.json").read_text())
    clip = finished_project / TEST_CLIPS / "test_0001.mp4"
    by_name, *others = (
        predicted(blended, clip, "--run", run, "--root", finished_project)["predictions"]
        for run in ("linear-motion", record["run_id"], str(finished_project / "runs/demo/linear-motion"))
    )
    assert all(other == by_name for other in others)


def test_the_table_names_emotions_shares_and_the_synthetic_warning(
    finished_project: Path, blended: Command
) -> None:
    clips = finished_project / TEST_CLIPS
    done = blended("predict", clips, "--run", "linear-motion", "--root", finished_project)
    assert done.code == 0
    assert done.out.count("test_00") == 18
    assert "trained on rendered clips: this says nothing about people" in done.out
    assert "18/18" in done.err


def test_a_changed_encoder_is_noted_and_an_unchanged_one_is_not(
    project: Path, tmp_path: Path, blended: Command
) -> None:
    clip = next((project / TEST_CLIPS).glob("*.mp4"))
    same = blended("predict", clip, "--run", "linear-logmel", "--root", project)
    assert same.code == 0 and "numbers may differ" not in " ".join((same.out + same.err).split())
    record = artifacts(project, "linear-logmel") / "pipeline.json"
    fields = json.loads(record.read_text())
    fields["encoders"]["logmel"]["version"] = "0.0.1+abc"
    record.write_text(json.dumps(fields))
    close_run(record.parents[1])
    other = blended("predict", clip, "--run", "linear-logmel", "--root", project)
    flat = " ".join((other.out + other.err).split())
    assert "logmel was trained with blended-encoders 0.0.1+abc" in flat and "numbers may differ" in flat


def test_one_bad_file_does_not_stop_the_others(
    finished_project: Path, tmp_path: Path, blended: Command
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    write_clip(tmp_path / "fine.mp4")
    write_clip(tmp_path / "mute.mp4", with_audio=False)
    run = ("--run", "linear-logmel", "--root", finished_project)
    found = predicted(blended, tmp_path, *run, code=1)
    assert [Path(one["path"]).name for one in found["predictions"]] == ["fine.mp4"]
    reasons = {Path(one["path"]).name: one["reason"] for one in found["failures"]}
    assert "cannot be opened as media" in reasons["broken.mp4"]
    assert "has no sound, and nothing else is read by logmel" in reasons["mute.mp4"]
    refused(blended, "predict", tmp_path / "broken.mp4", *run, sentence="cannot be opened as media")


def test_late_fusion_answers_without_sound_and_says_so(
    finished_project: Path, tmp_path: Path, blended: Command
) -> None:
    mute = write_clip(tmp_path / "mute.mp4", with_audio=False)
    enrol = ("--enrol-from", finished_project / TEST_CLIPS)
    found = predicted(blended, mute, "--run", "late-both-actor", "--root", finished_project, *enrol)
    (one,) = found["predictions"]
    assert one["weights"] == {"motion": 1.0}
    assert "no sound: logmel was left out and the weights of the others were scaled up" in one["notes"]


def test_a_very_short_file_is_answered_with_a_note(
    finished_project: Path, tmp_path: Path, blended: Command
) -> None:
    short = write_clip(tmp_path / "short.mp4", seconds=0.2)
    (one,) = predicted(blended, short, "--run", "linear-motion", "--root", finished_project)["predictions"]
    assert any(note.startswith("lasts 0.2 s, the clips trained on 0.6 to 0.9 s") for note in one["notes"])
    assert any(note.startswith("unlike the clips trained on for motion") for note in one["notes"])


def test_a_long_file_has_a_timeline(finished_project: Path, tmp_path: Path, blended: Command) -> None:
    long = write_clip(tmp_path / "long.mp4", seconds=4.0)
    run = ("--run", "linear-motion", "--root", finished_project)
    (one,) = predicted(blended, long, *run, "--window-seconds", "1", "--hop-seconds", "0.5")["predictions"]
    spans = [(answer["start_seconds"], answer["end_seconds"]) for answer in one["timeline"]]
    assert spans == [(start / 2, start / 2 + 1) for start in range(7)]
    assert one["method"] == "mean of 7 windows"
    for emotion in blemore.EMOTIONS:
        mean = np.mean([answer["probabilities"][emotion] for answer in one["timeline"]])
        assert one["probabilities"][emotion] == pytest.approx(mean)
    states = [answer["state"] for answer in one["timeline"]]
    assert states.count(one["state"]) == max(map(states.count, states))


def test_a_long_file_is_answered_alike_however_it_is_decoded(
    finished_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sliding by, as it is, and at once, as short files are: to the bit."""
    long = write_clip(tmp_path / "long.mp4", seconds=5.3, audio_start_seconds=0.2, audio_seconds=4.9)
    predictor = prediction.open_predictor(artifacts(finished_project, "late-both-actor"))
    windows, person = (
        Windows(1.0, 0.4),
        enrolled(predictor.pipeline.record, predictor.features, finished_project / TEST_CLIPS),
    )
    one = predictor.predict(long, windows=windows, enrolment=person)
    monkeypatch.setattr(prediction, "slide", lambda _: None)
    other = predictor.predict(long, windows=windows, enrolment=person)
    assert (one.method, one.weights, one.notes) == (other.method, other.weights, other.notes)
    assert len(one.timeline) == len(other.timeline) > 8
    for got, expected in zip((one.whole, *one.timeline), (other.whole, *other.timeline), strict=True):
        assert (got.start_seconds, got.end_seconds) == (expected.start_seconds, expected.end_seconds)
        assert got.decided == expected.decided
        np.testing.assert_array_equal(got.probabilities, expected.probabilities)
        np.testing.assert_array_equal(got.calibrated, expected.calibrated)


def test_a_long_file_that_ends_too_soon_is_refused(
    finished_project: Path, tmp_path: Path, blended: Command
) -> None:
    long = write_clip(tmp_path / "long.mkv", seconds=9.0)
    long.write_bytes(long.read_bytes()[: long.stat().st_size // 2])
    run = ("--run", "linear-logmel", "--root", finished_project)
    refused(blended, "predict", long, *run, sentence="is cut off: it declares")


def test_a_short_file_has_a_timeline_on_request(finished_project: Path, blended: Command) -> None:
    clip = finished_project / TEST_CLIPS / "test_0001.mp4"
    run = ("--run", "linear-motion", "--root", finished_project)
    plain = predicted(blended, clip, *run)["predictions"][0]
    asked = predicted(blended, clip, *run, "--timeline", "--window-seconds", "0.3", "--hop-seconds", "0.3")
    (one,) = asked["predictions"]
    assert len(one["timeline"]) >= 2
    assert {**one, "timeline": []} == plain


def test_of_few_clips_of_a_person_is_taken_what_they_are_worth(
    finished_project: Path, tmp_path: Path, blended: Command
) -> None:
    """A run whose scores alone are normalised per actor answers for a stranger too, and says so."""
    clips = sorted((finished_project / TEST_CLIPS).iterdir())
    few = tmp_path / "few"
    few.mkdir()
    for clip in clips[:2]:
        shutil.copy(clip, few)
    run = ("--run", "late-both-actor", "--root", finished_project)
    (stranger,) = predicted(blended, clips[2], *run)["predictions"]
    (known,) = predicted(blended, clips[2], *run, "--enrol-from", few)["predictions"]
    assert any(note.startswith("judged like anybody: clips of the same person") for note in stranger["notes"])
    assert "enrolled from 2 clips; 16 or more are better" in known["notes"]
    # The model knows nobody; what is made of its probabilities depends on the person.
    assert stranger["probabilities"] == pytest.approx(known["probabilities"], abs=1e-6)
    assert stranger["calibrated_probabilities"] != pytest.approx(known["calibrated_probabilities"], abs=1e-3)


def test_an_annotated_video_and_picture(finished_project: Path, tmp_path: Path, blended: Command) -> None:
    clip = finished_project / TEST_CLIPS / "test_0001.mp4"
    video, picture = tmp_path / "out.mp4", tmp_path / "out.png"
    done = blended("predict", clip, "--run", "linear-motion", "--root", finished_project,
                   "--video-out", video, "--png-out", picture)  # fmt: skip
    assert done.code == 0, done.err
    before, after = probe(clip), probe(video)
    assert before.video and after.video and after.audio
    assert after.video.width == 640 and after.video.height == 640 + 150
    assert after.duration_seconds == pytest.approx(before.duration_seconds, abs=0.1)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_asked(finished_project: Path, tmp_path: Path, blended: Command) -> None:
    clip, clips = finished_project / TEST_CLIPS / "test_0001.mp4", finished_project / TEST_CLIPS
    root = ("--root", finished_project)
    for arguments, sentence in (
        (("--run", "linear-motoin"), "did you mean 'linear-motion'"),
        (("--run", "0" * 32), "has no run"),
        ((), "either --run RECIPE (or a run id) or --model FOLDER"),
        (("--model", tmp_path), "holds no trained pipeline (pipeline.json, decision.json, final.safetensors"),
        (("--run", "linear-motion", "--enrol-from", clips), "judges every clip by itself"),
        (("--run", "linear-motion", "--window-seconds", "0.1"), "windows of 0.1 s, expected 0.2 s or more"),
    ):
        refused(blended, "predict", clip, *arguments, *root, sentence=sentence)
    out = ("--video-out", tmp_path / "out.mp4", "--run", "linear-motion")
    refused(blended, "predict", clips, *out, *root, sentence="for one recording, got 18: name one file")


def test_a_damaged_pipeline_is_refused(finished_project: Path, tmp_path: Path, blended: Command) -> None:
    clip = finished_project / TEST_CLIPS / "test_0001.mp4"
    for name in FILES:
        model = shutil.copytree(artifacts(finished_project, "linear-motion"), tmp_path / Path(name).stem)
        whole = (model / name).read_bytes()
        (model / name).write_bytes(whole[: len(whole) // 2])
        refused(blended, "predict", clip, "--model", model, sentence=f"{name} is damaged: its SHA-256 is")
        (model / MANIFEST).unlink()
        refused(blended, "predict", clip, "--model", model, sentence="is damaged or of another version")


def test_submit_writes_what_the_final_model_decided(
    finished_project: Path, tmp_path: Path, blended: Command
) -> None:
    out = tmp_path / "submission.zip"
    done = blended("submit", "linear-motion", "--root", finished_project, "--out", out)
    assert done.code == 0 and "18 test clips, checked" in done.out
    with zipfile.ZipFile(out) as archive:
        (name,) = archive.namelist()
        mapping = json.loads(archive.read(name))
    assert sorted(mapping["predictions"]) == [f"test_{number:04d}.mp4" for number in range(1, 19)]
    decided = {
        name: Mixture.from_json(row["decided"])
        for name, row in stored(finished_project, "linear-motion").items()
    }
    assert read_predictions(mapping["predictions"]) == decided


def test_submit_refuses_what_it_cannot_submit(project: Path, tmp_path: Path, blended: Command) -> None:
    out = tmp_path / "submission.zip"
    arguments = ("--root", project, "--out", out)
    refused(blended, "submit", "linear-moton", *arguments, sentence="did you mean 'linear-motion'")
    (artifacts(project, "linear-motion") / "test_predictions.parquet").unlink()
    close_run(artifacts(project, "linear-motion").parent)
    refused(blended, "submit", "linear-motion", *arguments, sentence="has no answers for the test clips")
    predictions = artifacts(project, "linear-logmel") / "test_predictions.parquet"
    pl.read_parquet(predictions).head(17).write_parquet(predictions)
    close_run(artifacts(project, "linear-logmel").parent)
    refused(blended, "submit", "linear-logmel", *arguments, sentence="'test_0018.mp4' is missing")
    assert not out.exists()
