"""`blended study` on a real, tiny corpus: the commands, and that DVC's way gives the same number."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from tests.conftest import Command

from blended.data.index import build_index, read_index, write_index
from blended.fusion.strategies import Fused
from blended.studies import trial
from blended.studies.folders import Folders
from blended.studies.search.evaluation import TrialEvaluator
from blended.studies.search.results import TrialStore
from blended.studies.trial import TrialConfig

STUDY = """\
question: Early or late?
base:
  fusion: {name: early, features: [logmel, motion]}
  decision: {name: thresholds}
space:
  fusion.name: {choice: [early, late]}
  fusion.training.learning_rate: {float: [1e-4, 1e-2], log: true}
budget: {trials: 4, epochs: 4}
pruner: none
"""


DECISIONS = """\
base:
  fusion: {name: late, features: [logmel, motion], training: {max_epochs: 3}}
recipes:
  thresholds: {decision: {name: thresholds}}
  templates: {decision: {name: templates}}
grid:
  decision.normalise: [none, actor]
"""


def finished_study(project: Path, blended: Command) -> None:
    (project / "which.yaml").write_text(STUDY)
    done = blended("study", "run", project / "which.yaml", "--root", project)
    assert done.code == 0, done.err
    assert "viewStateShareKey=study-which" in done.out


def test_a_study_from_its_file_to_a_recipe(
    project: Path, blended: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    finished_study(project, blended)
    status = blended("study", "status", "which", "--root", project)
    assert status.code == 0
    assert "selected" in status.out
    best = blended("study", "best", "which", "--root", project, "--write")
    assert best.code == 0, best.err
    assert "selected on these folds" in best.out
    rows = list(csv.DictReader(io.StringIO(blended("study", "export", "which", "--root", project).out)))
    assert [row["state"] for row in rows] == ["finished"] * 5
    compared = blended("study", "compare", "which#0", "which#1", "--root", project)
    assert compared.code == 0, compared.err
    assert "p =" in compared.out and "score" in compared.out

    # The recipe gives the winner's own identity and number.
    assert blended("train", "which", "--root", project).code == 0
    run = json.loads((project / "runs" / "demo" / "which" / "artifacts" / "run.json").read_text())
    outcome = project / "runs" / "demo" / "trials" / run["identity"] / "outcome.json"
    trained = json.loads((project / "runs" / "demo" / "which" / "metrics.json").read_text())
    numbers = json.loads(outcome.read_text())["metrics"]
    for key in ("score", "presence_accuracy", "salience_accuracy", "score_low"):
        assert numbers[key] == trained["cross_fold"][key]

    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo-studies")
    assert experiment is not None
    children = client.search_runs([experiment.experiment_id], "tags.kind = 'trial'")
    assert len(children) == 4
    logged = children[0].data.metrics
    assert {"fold0/outer_score", "inner/score", "score_low", "in_fold_optimistic/score"} <= logged.keys()
    assert any(name.startswith("pairs/") for name in logged)
    assert children[0].data.tags["synthetic"] == "true"
    for fold in range(5):
        history = client.get_metric_history(children[0].info.run_id, f"fold{fold}/epochs_inner_score")
        assert [metric.step for metric in history][:1] == [1], "a curve per fold, epochs as steps"

    again = blended("study", "run", project / "which.yaml", "--root", project)
    assert again.code == 0
    assert len(client.search_runs([experiment.experiment_id], "tags.kind = 'trial'")) == 4


def test_a_study_does_not_go_on_with_other_labels(
    project: Path, blended: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one label is corrected, and after the folds are cut anew."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    finished_study(project, blended)
    path = Folders(project).index("demo")
    before = read_index(path)
    clips = list(before.corpus.clips)
    clips[0] = replace(clips[0], mixture=next(s for s in before.corpus.space.states if s != clips[0].mixture))
    corrected = tuple(clips)
    recut = tuple(replace(c, fold=None if c.fold is None else c.fold % 4) for c in before.corpus.clips)
    for changed in (corrected, recut):
        corpus = replace(before.corpus, clips=changed)
        write_index(build_index(corpus, project / "cache", folder=before.folder), path)
        for again in ("work", "resume"):
            refused = blended("study", again, "which", "--root", project)
            assert refused.code == 1
            assert "has trials on another version of the corpus 'demo'" in refused.err
        best = blended("study", "best", "which", "--root", project)
        assert best.code == 0 and "winner: trial #" in best.out
        assert "has changed since study which was started" in " ".join(best.err.split())


def test_trials_that_only_decide_train_once(
    project: Path, blended: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (project / "decisions.yaml").write_text(DECISIONS)
    trained: list[TrialConfig] = []

    train = trial.trained

    def counted(config: TrialConfig, *more: Any) -> Fused:
        trained.append(config)
        return train(config, *more)

    monkeypatch.setattr(trial, "trained", counted)
    done = blended("study", "run", project / "decisions.yaml", "--root", project)
    assert done.code == 0, done.err
    assert len(trained) == 1
    folders = Folders(project)
    store = TrialStore(project / "runs" / "demo" / "trials")
    stored = [store.get(path.parent.name) for path in project.rglob("outcome.json")]
    assert len(stored) == 4
    for outcome in [one for one in stored if "transductive" in one.tags["protocol"]]:
        # What was decided on stored scores has every number of a trial that trains.
        config = TrialConfig.model_validate(outcome.config)
        whole = TrialEvaluator(folders, "cpu", lambda message: None)(config, lambda epoch, score: None)
        timeless = {"metrics", "seconds"}
        assert outcome.model_dump(exclude=timeless) == whole.outcome.model_dump(exclude=timeless)
        assert outcome.metrics | {"seconds": 0.0} == whole.outcome.metrics | {"seconds": 0.0}
        assert store.predictions(outcome).decided == whole.predictions.decided
        assert outcome.curve.keys() == {1, 2, 3, 4, 5, 6}, "two encoders, three epochs each"
        assert outcome.fold_curves.keys() == outcome.inner.keys()
        actors = {f"{unit.split('/')[1]}" for unit in outcome.units}
        assert actors == set(whole.predictions.actors)
    assert len(trained) == 1 + 2

    # A worker that comes later, when results are gone, finds the training; nobody pools features twice.
    pooled = {path: path.stat().st_mtime_ns for path in (project / "data" / "cache" / "pooled").iterdir()}
    assert len(pooled) == 2
    shutil.rmtree(store.folder)
    (project / "again.yaml").write_text(DECISIONS)
    assert blended("study", "run", project / "again.yaml", "--root", project).code == 0
    assert len(trained) == 1 + 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("status", "none"), "there is no study 'none'"),
        (("run", "none.yaml"), "none.yaml does not exist: name a study file"),
        (("compare", "linear-logmel", "nothing"), "'nothing' is neither a study nor a recipe"),
        (("status", "../x"), "a study's name is a file name"),
    ],
)
def test_mistakes_are_one_sentence(
    project: Path, blended: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    done = blended("study", *arguments, "--root", project)
    assert done.code == 1
    assert sentence in done.err


def test_recipes_are_compared_too(finished_project: Path, blended: Command) -> None:
    done = blended("study", "compare", "linear-logmel", "late-both-actor", "--root", finished_project)
    assert done.code == 0, done.err
    assert "linear-logmel minus late-both-actor" in done.out


def test_features_that_are_missing_are_said_before_anything_runs(project: Path, blended: Command) -> None:
    shutil.rmtree(project / "data" / "features" / "demo" / "motion")
    (project / "which.yaml").write_text(STUDY)
    done = blended("study", "run", project / "which.yaml", "--root", project)
    assert done.code == 1
    assert "motion" in done.err
    assert not (project / "runs" / "studies" / "which" / "study.db").exists()
