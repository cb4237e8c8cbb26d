"""The door for notebooks: what it gives is what the commands write, and what the files hold."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from blended.data import InputError
from blended.data.store import FeatureStore
from blended.studies import Project


def test_features_come_with_the_clips_they_are_of(finished_project: Path) -> None:
    project = Project(finished_project)
    store = FeatureStore(project.folders.features("demo") / "motion")
    steps = project.features("motion", sequences=True)
    means = project.features("motion", pooling="mean")
    assert means.values is not None and steps.sequences is not None
    assert set(means.clip_ids) == set(store.clips) and means.clip_ids == steps.clip_ids
    place = 7
    read = store.read(steps.clip_ids[place]).values
    np.testing.assert_array_equal(steps.sequences[place], read)
    np.testing.assert_allclose(means.values[place], read.astype(np.float64).mean(axis=0), rtol=1e-6)
    assert project.features("motion").values.shape == (len(store), 7 * read.shape[1])  # type: ignore[union-attr]
    frame = steps.to_frame().filter(pl.col("clip") == steps.clip_ids[place])
    assert frame["seconds"].to_list() == pytest.approx([k / steps.rate_hz for k in range(len(read))])


def test_a_recipe_object_is_trained_like_the_same_recipe_of_params(project: Path) -> None:
    here = Project(project, workers=1)
    fields = {"fusion": {"name": "early", "features": ["motion"], "training": {"max_epochs": 10}}}
    mine = here.train(fields, name="mine")
    assert here.train("linear-motion").identity == mine.identity
    written = json.loads((project / "runs/demo/linear-motion/metrics.json").read_text())
    assert json.loads((project / "runs/demo/mine/metrics.json").read_text()) == written
    ranked = here.compare("mine", "linear-motion")
    assert ranked.between("mine", "linear-motion").p == 1.0


def test_what_is_not_there_is_made_and_what_cannot_be_is_said(project: Path) -> None:
    here = Project(project, workers=1)
    shutil.rmtree(here.folders.features("demo") / "logmel")
    assert len(here.features("logmel").clip_ids) == len(here.corpus().to_frame()) == 108
    with pytest.raises(InputError, match="did you mean 'motion'"):
        here.features("motoin")
    with pytest.raises(
        InputError, match="unknown finished run 'linear-motoin': did you mean 'linear-motion'"
    ):
        here.run("linear-motoin")
    with pytest.raises(InputError, match=r"unknown key 'fusoin'.*did you mean 'fusion'"):
        here.train({"fusoin": {}})
    with pytest.raises(InputError, match=r"has no card.yaml to say which corpus it is"):
        here.corpus(source=project)


def test_a_recording_is_answered_as_by_the_command(finished_project: Path, blended) -> None:  # type: ignore[no-untyped-def]
    project = Project(finished_project)
    clip = project.corpus().index.corpus.test[0].path
    (row,) = project.predict("linear-motion", clip).to_frame().iter_rows(named=True)
    done = blended("predict", clip, "--run", "linear-motion", "--root", finished_project, "--json")
    (told,) = json.loads(done.out)["predictions"]
    assert row["state"] == told["state"]
    for emotion, value in told["probabilities"].items():
        assert row[f"p_{emotion}"] == pytest.approx(value, abs=1e-12)


def test_a_folder_without_params_yaml_is_enough(tmp_path: Path, finished_project: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copytree(finished_project / "data", tmp_path / "data", dirs_exist_ok=True)
    here = Project(tmp_path, workers=1)
    assert here.recipes() == []
    assert here.train({"fusion": {"name": "early", "features": ["motion"]}}).recipe.startswith("early-")
