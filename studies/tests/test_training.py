"""What is remembered of a run, and what is said of runs that other code or libraries made."""

import json
from pathlib import Path

import pytest

from blended.data import InputError
from blended.studies import kept
from blended.studies.folders import Folders
from blended.studies.plans import code_notes, stale_runs
from blended.studies.runs import versions_of

PARAMS = """\
corpus: demo
encoders: {motion: {}}
recipes:
  one: {fusion: {name: early, features: [motion]}, seed: 0}
  two: {fusion: {name: early, features: [motion]}, seed: 1}
"""


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    folders.params.write_text(PARAMS)
    for file in (folders.index("demo"), folders.features("demo") / "motion" / "index.parquet"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"as it was")
    (folders.run("demo", "one") / "artifacts").mkdir(parents=True)
    (folders.run("demo", "one") / "artifacts" / "run.json").write_text("{}")
    return folders


def test_a_run_is_kept_while_every_byte_is_the_same(folders: Folders) -> None:
    assert kept.recipe_names(folders) == ["one", "two"]
    assert not kept.is_kept(folders, "one"), "nothing was remembered yet"
    kept.remember(folders, "one", kept.inputs(folders, "one"))
    assert kept.is_kept(folders, "one") and not kept.is_kept(folders, "two")
    folders.params.write_text(PARAMS.replace("seed: 1", "seed: 2"))
    assert kept.is_kept(folders, "one"), "another recipe's line"
    for file in (
        folders.index("demo"),
        folders.features("demo") / "motion" / "index.parquet",
        folders.run("demo", "one") / "artifacts" / "run.json",
        folders.params,
    ):
        before = file.read_bytes()
        file.write_bytes(before.replace(b"seed: 0", b"seed: 7") if file == folders.params else b"another")
        assert not kept.is_kept(folders, "one"), file
        file.write_bytes(before)
        assert kept.is_kept(folders, "one"), file


def test_an_edit_while_a_recipe_is_trained_is_not_taken_for_trained(folders: Folders) -> None:
    made_from = kept.inputs(folders, "one")
    folders.params.write_text(PARAMS.replace("seed: 0", "seed: 7"))
    kept.remember(folders, "one", made_from)
    assert not kept.is_kept(folders, "one")


def record(identity: str, torch: str = "2.11.0") -> dict[str, object]:
    return {"identity": identity, "versions": {"identity": identity}, "libraries": {"torch": torch}}


def test_runs_of_other_code_and_libraries_are_told(folders: Folders) -> None:
    plans = folders.plans("demo") / "recipes"
    plans.mkdir(parents=True)
    for name in ("one", "two"):
        (plans / f"{name}.json").write_text(json.dumps({"identity": "here"}))
    assert code_notes({"one": record("here"), "two": record("here")}, folders, "demo") == []
    mixed = {"one": record("here"), "two": record("there", "2.12.0"), "old": {"identity": "x"}}
    assert stale_runs(mixed, folders, "demo") == ["two"]
    unknown, other, libraries = code_notes(mixed, folders, "demo")
    assert unknown.startswith("Of unknown code: old,") and "`blended train old`" in unknown
    assert "are here now: two." in other and "`blended train two`" in other
    assert "torch 2.11.0 (one) and 2.12.0 (two)" in libraries


def test_a_record_of_a_newer_program_is_no_traceback() -> None:
    assert versions_of({"recipe": "one"}) is None
    with pytest.raises(InputError, match="the run 'one' was made by another version of blended"):
        versions_of({"recipe": "one", "versions": {"identity": "a", "what_comes": "b"}})
