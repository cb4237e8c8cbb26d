"""Clips in, presence and salience out: what a run leaves behind, and that it is what it says."""

import json
from pathlib import Path

import mlflow
import numpy as np
import polars as pl
import pytest
from safetensors import safe_open
from tests.conftest import Command

from blended.data.corpora import blemore
from blended.data.labels import Mixture
from blended.eval import presence_accuracy, salience_accuracy

RECIPES = ("linear-logmel", "linear-motion", "late-both-actor")


def run_folder(project: Path, recipe: str) -> Path:
    return project / "runs" / "demo" / recipe


def metrics(project: Path, recipe: str) -> dict[str, dict[str, float]]:
    return json.loads((run_folder(project, recipe) / "metrics.json").read_text())


@pytest.mark.parametrize("recipe", RECIPES)
def test_predictions_hold_what_was_scored(finished_project: Path, recipe: str) -> None:
    table = pl.read_parquet(run_folder(finished_project, recipe) / "artifacts" / "predictions.parquet")
    probabilities = table.select(f"p_{emotion}" for emotion in blemore.EMOTIONS).to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert [blemore.truth_from_name(name) for name in table["filename"]] == [
        Mixture.from_json(text) for text in table["truth"]
    ]
    presence, salience = [], []
    for _, fold in table.group_by("fold"):
        truth = [Mixture.from_json(text) for text in fold["truth"]]
        decided = [Mixture.from_json(text) for text in fold["decided"]]
        presence.append(presence_accuracy(truth, decided))
        salience.append(salience_accuracy(truth, decided))
    written = metrics(finished_project, recipe)["cross_fold"]
    assert written["presence_accuracy"] == pytest.approx(np.mean(presence), abs=1e-12)
    assert written["salience_accuracy"] == pytest.approx(np.mean(salience), abs=1e-12)


def test_evaluate_gives_a_runs_own_numbers(finished_project: Path, tmp_path: Path, blended: Command) -> None:
    """The public command on the exported probabilities agrees with the pipeline under `nesting: plain`."""
    table = pl.read_parquet(
        run_folder(finished_project, "linear-logmel") / "artifacts" / "predictions.parquet"
    )
    scores = tmp_path / "scores.csv"
    columns = [pl.col(f"p_{emotion}").alias(emotion) for emotion in blemore.EMOTIONS]
    table.select("filename", "fold", *columns).write_csv(scores)
    metadata = finished_project / "data" / "corpora" / "demo" / "train_metadata.csv"
    out = tmp_path / "out.json"
    given = ("--scores", "probabilities", "--decision", "set-ratio", "--json", out)
    done = blended("evaluate", scores, "--metadata", metadata, *given)
    assert done.code == 0, done.err
    result, written = json.loads(out.read_text()), metrics(finished_project, "linear-logmel")["cross_fold"]
    for key in ("presence_accuracy", "salience_accuracy", "score"):
        assert result[key] == pytest.approx(written[key], abs=1e-9)


def test_training_again_changes_nothing(project: Path, blended: Command) -> None:
    before = metrics(project, "late-both-actor")
    kept = blended("train", "late-both-actor", "--root", project)
    assert kept.code == 0
    assert "nothing that it depends on has changed; kept" in kept.err
    (run_folder(project, "late-both-actor") / "confusion.png").unlink()
    again = blended("train", "late-both-actor", "--root", project)
    assert "kept" not in again.err, "a run that lacks a file is not complete"
    assert again.code == 0
    assert metrics(project, "late-both-actor") == before


def test_the_test_partition_is_predicted_by_the_final_model(finished_project: Path) -> None:
    artifacts = run_folder(finished_project, "linear-motion") / "artifacts"
    table = pl.read_parquet(artifacts / "test_predictions.parquet")
    assert table["filename"].to_list() == [f"test_{number:04d}" for number in range(1, 19)]
    assert table["truth"].null_count() == len(table)
    with safe_open(artifacts / "final.safetensors", "np") as model:
        head = {f"network.scores.head.first.{part}" for part in ("weight", "bias")}
        assert head | {"source.motion.mean", "source.motion.spread"} == set(model.keys())


def test_mlflow_has_one_run_per_training(finished_project: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{finished_project / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == set(RECIPES)
    for recipe, run in runs.items():
        written = metrics(finished_project, recipe)["cross_fold"]
        logged = run.data.metrics
        for key in ("presence_accuracy", "salience_accuracy", "score"):
            assert logged[key] == pytest.approx(written[key])
            assert logged[f"{key}_low"] <= logged[key] <= logged[f"{key}_high"]
        assert {f"fold{fold}/presence_accuracy" for fold in range(5)} <= logged.keys()
        assert {"in_fold_optimistic/score", "seconds"} <= logged.keys()
        assert "baselines/most-frequent-blend_presence_accuracy" in logged
        assert run.data.tags["synthetic"] == "true"
        assert run.data.tags["transductive"] == str(recipe.endswith("actor")).lower()
        assert run.data.params["fusion.training.max_epochs"] == "10"
        assert run.inputs.dataset_inputs[0].dataset.name == "demo"
        names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        assert {"confusion.png", "predictions.parquet", "final.safetensors"} <= names


def test_the_report_says_what_it_is(finished_project: Path) -> None:
    page = (finished_project / "report" / "index.html").read_text()
    assert "say nothing about people" in page
    for recipe in RECIPES:
        assert recipe in page
    assert "transductive" in page
    assert "<script" not in page
    markdown = (finished_project / "report" / "table.md").read_text()
    assert all(recipe in markdown for recipe in RECIPES)


def test_runs_prints_the_table(finished_project: Path, blended: Command) -> None:
    done = blended("runs", "--root", finished_project)
    assert done.code == 0
    assert all(recipe in done.out for recipe in RECIPES)
    assert "report:" in done.out
