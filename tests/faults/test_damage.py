"""Damage never becomes the record: whoever reads a file that is not as it was written says so, no number."""

import json
import shutil
from pathlib import Path

import pytest
from tests.conftest import Command

from blended.data.checksums import MANIFEST, DamagedError
from blended.eval.predictions import read_predictions
from blended.studies.run_files import ARTIFACTS, CHECKSUMS, RECORD, run_faults

RECIPE = "late-both-actor"


def flip(path: Path, place: float = 0.5) -> None:
    """One bit of a file."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def files_of(run: Path) -> list[Path]:
    listed = json.loads((run / ARTIFACTS / MANIFEST).read_text())["files"]
    return [*((run / ARTIFACTS / name).resolve() for name in listed), run / ARTIFACTS / MANIFEST]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_every_file_of_a_run_is_listed(finished_project: Path) -> None:
    run = finished_project / "runs" / "demo" / RECIPE
    there = {path for path in run.rglob("*") if path.is_file() and path.name != "model_card.md"}
    assert {path.resolve() for path in files_of(run)} == {path.resolve() for path in there}


def test_one_flipped_bit_in_any_file_is_named_and_refused(project: Path, blended: Command) -> None:
    run = project / "runs" / "demo" / RECIPE
    clip = next((project / "data/corpora/demo/test").glob("*.mp4"))
    root = ("--root", project)
    for path in files_of(run):
        whole = path.read_bytes()
        for place in (0.1, 0.5, 0.999):
            flip(path, place)
            assert [fault.path.resolve() for fault in run_faults(run)] == [path], (path, place)
            path.write_bytes(whole)
        flip(path)
        commands: list[tuple[str | Path, ...]] = [("runs",)]
        if path.name in ("metrics.json", "predictions.parquet", "enrolment.csv"):
            commands += [("compare",), ("submit", RECIPE)]
        if path.name in ("pipeline.json", "decision.json", "final.safetensors", MANIFEST):
            commands.append(("predict", clip, "--run", RECIPE, "--enrol-from", clip.parent))
        for command in commands:
            done = blended(*command, *root)
            assert done.code == 1 and not done.out, (command, path, done.out)
            said = one_line(done.err)
            assert f"{path.name} is damaged" in said and f"`blended train {RECIPE}`" in said, (command, said)
            assert "Traceback" not in said
        path.write_bytes(whole)
    assert not run_faults(run)
    flip(run / ARTIFACTS / "predictions.parquet")
    refused = blended("register", RECIPE, *root)
    assert refused.code == 1 and "predictions.parquet is damaged" in one_line(refused.err)


def test_training_makes_damaged_files_anew(project: Path, blended: Command) -> None:
    run = project / "runs" / "demo" / RECIPE
    before = {path: path.read_bytes() for path in files_of(run)}
    artifacts = run / ARTIFACTS
    flip(artifacts / "final.safetensors", 0.9)
    (artifacts / "decision.json").write_text("null")
    pipeline = json.loads((artifacts / "pipeline.json").read_text())
    (artifacts / "pipeline.json").write_text(json.dumps({**pipeline, "temperature": 2.0}))
    predictions = artifacts / "predictions.parquet"
    predictions.write_bytes(predictions.read_bytes()[:-100])
    (run / "metrics.json").write_text((run / "metrics.json").read_text().replace("0.", "0.9", 1))
    (run / "confusion.png").unlink()
    damaged = ("final.safetensors", "decision.json", "pipeline.json", "predictions.parquet", "metrics.json")

    done = blended("train", RECIPE, "--root", project)
    said = one_line(done.err)
    assert done.code == 0 and "kept" not in said
    assert all(f"{name} is damaged" in said for name in damaged), said
    assert "confusion.png is missing: the run is made anew" in said
    # Equal trainings give equal bytes; only the record knows which run of MLflow's it was.
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {RECORD, MANIFEST}
    assert "kept" in blended("train", RECIPE, "--root", project).err


def test_a_picture_of_an_earlier_run_is_no_part_of_this_one(project: Path, blended: Command) -> None:
    run = project / "runs" / "demo" / RECIPE
    shutil.copy(run / "confusion.png", run / ARTIFACTS / "gates.png")
    done = blended("compare", "--root", project)
    assert done.code == 1 and "gates.png is not among the files of its manifest.json" in one_line(done.err)


@pytest.mark.parametrize("text", ["null", "[]", "{", ""])
def test_a_record_without_manifest_that_is_none(project: Path, blended: Command, text: str) -> None:
    run = project / "runs" / "demo" / "linear-motion"
    (run / ARTIFACTS / MANIFEST).unlink()
    (run / ARTIFACTS / RECORD).write_text(text)
    done = blended("compare", "--root", project)
    assert done.code == 1 and "run.json is damaged" in one_line(done.err)


def test_a_run_whose_writer_was_killed_before_its_manifest_is_none(project: Path, blended: Command) -> None:
    run = project / "runs" / "demo" / "linear-motion"
    (run / ARTIFACTS / MANIFEST).unlink()
    done = blended("compare", "--root", project)
    assert done.code == 1 and "manifest.json is missing: `blended train linear-motion`" in one_line(done.err)
    done = blended("train", "linear-motion", "--root", project)
    assert "manifest.json is missing: the run is made anew" in one_line(done.err) and "kept" not in done.err


def of_before(run: Path) -> None:
    """As runs were before checksums."""
    (run / ARTIFACTS / MANIFEST).unlink()
    record = json.loads((run / ARTIFACTS / RECORD).read_text())
    del record[CHECKSUMS]
    (run / ARTIFACTS / RECORD).write_text(json.dumps(record))


def test_a_run_of_before_checksums_is_read_and_said(project: Path, tmp_path: Path, blended: Command) -> None:
    of_before(project / "runs" / "demo" / "linear-motion")
    root = ("--root", project)
    clip = next((project / "data/corpora/demo/test").glob("*.mp4"))
    for command in (
        ("compare",),
        ("runs",),
        ("predict", clip, "--run", "linear-motion"),
        ("submit", "linear-motion", "--out", tmp_path / "out.zip"),
        ("register", "linear-motion"),
    ):
        done = blended(*command, *root)
        assert done.code == 0, done.err
        assert "no manifest.json (it was made before checksums, or" in one_line(done.err), command
    trained = blended("train", "linear-motion", *root)
    assert "made before checksums" in one_line(trained.err) and "kept" not in trained.err
    assert "before checksums" not in one_line(blended("compare", *root).err)


def test_predictions_that_lie_alone_are_checked(finished_project: Path, tmp_path: Path) -> None:
    from blended.data.index import read_index

    space = read_index(finished_project / "data/index/demo.parquet").corpus.space
    path = tmp_path / "mine.parquet"
    shutil.copy(finished_project / "runs/demo/linear-motion/artifacts/predictions.parquet", path)
    read_predictions(path, space)
    flip(path)
    with pytest.raises(DamagedError, match=r"mine\.parquet is damaged"):
        read_predictions(path, space)
