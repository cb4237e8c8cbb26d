"""Every finished trial is in MLflow exactly once, whatever the server does; the study's page says who won."""

import mlflow
import pytest
from mlflow.entities import Run
from studies.tests.search.conftest import GRID, Bench, MakeBench

from blended.studies import tracking
from blended.studies.search import publishing, study_view
from blended.studies.search.background import BackgroundUpload
from blended.studies.search.records import SELECTED, reconcile
from blended.studies.search.testing import ToyEvaluator
from blended.studies.search.uploading import Uploader

NOBODY = "http://127.0.0.1:9"


def finished(bench: MakeBench, text: str = GRID, fault: str = "none") -> Bench:
    toy = bench(text)
    toy.start()
    toy.worker(ToyEvaluator(toy.root, fault=fault)).work()
    return toy


def uploader(toy: Bench, uri: str | None = None) -> Uploader:
    tags = {"synthetic": "true", "git_commit": "abc"}
    return Uploader(toy.plan, toy.spool, toy.root, uri or tracking.default_uri(toy.root), tags)


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def runs(toy: Bench, kind: str = "trial") -> list[Run]:
    client = mlflow.MlflowClient(tracking.default_uri(toy.root))
    experiment = client.get_experiment_by_name("demo-studies")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


def test_trials_arrive_once_with_everything(bench: MakeBench) -> None:
    toy = finished(bench, fault="raise")
    assert uploader(toy).upload() == 6
    reconcile(toy.plan, toy.trials(), toy.store, toy.spool)
    assert uploader(toy).upload() == 0
    found = {run.data.tags["trial"]: run for run in runs(toy)}
    (parent,) = runs(toy, "study")
    assert len(found) == len(runs(toy)) == 6
    for trial in toy.trials():
        run = found[str(trial.number)]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["study"] == "toy"
        assert run.data.params["fusion.training.hidden"] == str(trial.params["fusion.training.hidden"])
        if trial.values is None:
            assert (run.info.status, run.data.tags["state"]) == ("FAILED", "failed")
            traceback = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/traceback.txt")
            assert "a bug in the trial" in traceback
            continue
        assert run.info.status == "FINISHED"
        assert run.data.metrics["inner/score"] == pytest.approx(trial.value)
        assert run.data.metrics["fold1/outer_score"] == pytest.approx(trial.value - 0.05)
        assert run.data.tags["inner_score_is"] == SELECTED
        client = mlflow.MlflowClient(tracking.default_uri(toy.root))
        history = client.get_metric_history(run.info.run_id, "fold0/epochs_inner_score")
        assert [metric.step for metric in history] == [1, 2, 3, 4, 5]


def test_a_server_that_is_away_costs_nothing_but_a_later_sync(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    said: list[str] = []
    with BackgroundUpload(uploader(toy, NOBODY), said.append):
        toy.worker(ToyEvaluator(toy.root)).work()
    assert len(toy.evaluated()) == toy.spool.num_waiting() == 6
    assert any("6 results are on disk" in line and "blended study sync toy" in line for line in said)
    uploader(toy).upload()
    assert toy.spool.num_waiting() == 0
    assert len(runs(toy)) == 6


def test_an_uploader_that_is_killed_leaves_nothing_twice(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the last call and the mark that the record has arrived, and half-way through a run."""
    toy = finished(bench)

    class KilledError(Exception):
        """In place of SIGKILL: nothing after it runs."""

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    for name in ("set_terminated", "log_batch"):
        with monkeypatch.context() as patched:
            patched.setattr(mlflow.MlflowClient, name, killed)
            with pytest.raises(KilledError):
                uploader(toy).upload()
    with monkeypatch.context() as patched:
        patched.setattr(type(toy.spool), "arrived", killed)
        with pytest.raises(KilledError):
            uploader(toy).upload()
    assert uploader(toy).upload() == 6
    found = runs(toy)
    assert len(found) == len({run.data.tags["trial_key"] for run in found}) == 6
    assert {run.info.status for run in found} == {"FINISHED"}
    client = mlflow.MlflowClient(tracking.default_uri(toy.root))
    for run in found:
        history = client.get_metric_history(run.info.run_id, "epochs/inner_score")
        assert [metric.step for metric in history] == [1, 2, 3, 4, 5], "logged twice"


def test_the_studys_page_answers_the_question(bench: MakeBench) -> None:
    toy = finished(bench, "question: Which fusion?\n" + GRID)
    study = toy.start()
    up = uploader(toy)
    up.upload()
    experiment = publishing.publish(study, toy.plan, toy.store, up)
    publishing.publish(study, toy.plan, toy.store, up)
    (parent,) = runs(toy, "study")
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith("**Which fusion?**")
    assert SELECTED in note and "no choice among trials has seen" in note
    assert "| late |" in note and "| early |" in note
    assert {"score", "score_low", "score_high", "selected_on_these_folds/score"} <= parent.data.metrics.keys()
    client = mlflow.MlflowClient(tracking.default_uri(toy.root))
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert names == {"pareto_front.png", "importance.png", "parallel_coordinates.png", "slices.png"}
    assert study_view.view_key("toy") in " ".join(client.get_experiment(experiment).tags)
    assert parent.info.status == "FINISHED"


def test_the_view_shows_the_studys_own_settings(bench: MakeBench) -> None:
    conditional = "  fusion.weights: {choice: [learned, equal], if: {fusion.name: late}}\n"
    state = study_view.view_state(bench(GRID + conditional).plan)
    assert "tags.`choice.fusion.name`" in state["selectedColumns"]
    parallel = next(chart for chart in state["compareRunCharts"] if chart["type"] == "PARALLEL")
    # A run without one of the settings would not be drawn.
    assert parallel["selectedParams"] == ["fusion.name", "fusion.training.hidden"]
    assert state["searchFilter"] == "tags.study = 'toy' and tags.kind = 'trial'"
