"""Every finished trial is in MLflow exactly once, whatever the server does; the study's page says who won."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run
from studies.tests.search.conftest import GRID, JOIN_SECONDS, Bench, MakeBench
from werkzeug.serving import make_server

from blended.studies import tracking
from blended.studies.search import background, publishing, study_view
from blended.studies.search.background import BackgroundUpload
from blended.studies.search.objective import Watch
from blended.studies.search.outcome import Evaluated
from blended.studies.search.records import SELECTED, reconcile
from blended.studies.search.uploading import Uploader
from blended.studies.trial import TrialConfig
from toys.trials import ToyEvaluator

NOBODY = "http://127.0.0.1:9"
STEPS = [1, 2, 3, 4, 5]
"""Epochs of a toy."""


def finished(bench: MakeBench, text: str = GRID, fault: str = "none") -> Bench:
    toy = bench(text)
    toy.start()
    toy.worker(ToyEvaluator(toy.root, fault=fault)).work()
    return toy


def uploader(toy: Bench, uri: str | None = None) -> Uploader:
    tags = {"synthetic": "true", "git_commit": "abc"}
    return Uploader(toy.plan, toy.spool, toy.root, uri or tracking.default_uri(toy.root), tags)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With MLflow's tables, whose making takes longer than a test."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch, empty_database: Path, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_database, tmp_path / "mlflow")


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
        assert [metric.step for metric in history] == STEPS


def test_a_long_curve_is_thinned_to_its_shape(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root, epochs=150)).work()
    for record in toy.spool.waiting():
        assert len(record.curves) == 4, "the mean and three folds"
        for curve in record.curves.values():
            assert list(curve) == [*range(1, 150, 3), 150]
            assert curve[150] == pytest.approx(record.metrics["inner/score"])


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


class Server:
    """MLflow's own application on a loopback port of this process, which can go away and come back."""

    def __init__(self) -> None:
        from mlflow.server import app

        self.app, self.port = app, 0
        self.start()

    def start(self) -> None:
        self.server = make_server("127.0.0.1", self.port, self.app, threaded=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    made = Server()
    yield made
    made.stop()


def test_a_server_that_goes_and_comes_back_has_everything_once(
    bench: MakeBench, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "EVERY_SECONDS", 0.05)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    toy = bench(GRID)
    toy.start()
    said: list[str] = []

    class Interrupted(ToyEvaluator):
        def __call__(self, config: TrialConfig, watch: Watch) -> Evaluated:
            done = len(toy.evaluated())
            if done == 2:
                wait_until(lambda: bool([*toy.spool.sent.glob("*.json")]))
                server.stop()
            if done == 4:
                wait_until(lambda: bool(said))
                server.start()
            return super().__call__(config, watch)

    with BackgroundUpload(uploader(toy, f"http://127.0.0.1:{server.port}"), said.append):
        toy.worker(Interrupted(toy.root)).work()
    assert [line.startswith("MLflow does not answer (") for line in said] == [True]
    assert toy.spool.num_waiting() == 0
    found = runs(toy)
    assert len(found) == len({run.data.tags["trial_key"] for run in found}) == 6
    assert {run.info.status for run in found} == {"FINISHED"}
    client = mlflow.MlflowClient(tracking.default_uri(toy.root))
    for run in found:
        assert [m.step for m in client.get_metric_history(run.info.run_id, "epochs/inner_score")] == STEPS


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + JOIN_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


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
        assert [metric.step for metric in history] == STEPS, "logged twice"


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
