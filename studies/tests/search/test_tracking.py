"""Every finished trial is in MLflow exactly once, whatever the server does; the study's page says who won."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run
from optuna.trial import FrozenTrial
from studies.tests.search.conftest import GRID, Bench, MakeBench
from werkzeug.serving import make_server

from blended.data.checksums import DamagedError
from blended.studies import tracking
from blended.studies.search import mlflow_runs, report, study_view
from blended.studies.search.mlflow_runs import StudyRuns
from blended.studies.search.objective import Watch
from blended.studies.search.records import SELECTED, record_of
from blended.studies.search.results import Evaluated
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


def study_runs(
    toy: Bench, uri: str | None = None, log: Callable[[str], None] = lambda message: None
) -> StudyRuns:
    tags = {"synthetic": "true", "git_commit": "abc"}
    lock, address = toy.place.mlflow_lock, uri or tracking.default_uri(toy.root)
    return StudyRuns(toy.plan, toy.store, toy.root, lock, address, tags, log)


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
    assert study_runs(toy).sync(toy.trials()) == 6
    assert study_runs(toy).sync(toy.trials()) == 0
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
    for record in (record_of(toy.plan, trial, toy.store) for trial in toy.trials()):
        assert len(record.curves) == 4, "the mean and three folds"
        for curve in record.curves.values():
            assert list(curve) == [*range(1, 150, 3), 150]
            assert curve[150] == pytest.approx(record.metrics["inner/score"])


def test_a_server_that_is_away_costs_nothing_but_a_later_sync(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    said: list[str] = []
    away = study_runs(toy, NOBODY, said.append)
    toy.worker(ToyEvaluator(toy.root), finished=away.finished).work()
    away.catch_up(toy.trials())
    assert len(toy.evaluated()) == 6
    assert [line.startswith("MLflow does not answer (") for line in said] == [True, False]
    assert said[1].startswith("results are on disk and not all in MLflow (") and "study sync toy" in said[1]
    assert study_runs(toy).sync(toy.trials()) == 6
    assert len(runs(toy)) == 6


def test_a_server_that_does_not_answer_is_left_alone_for_a_while(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts and says nothing: a trial waits for it once, the others do not."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    toy = bench(GRID)
    toy.start()
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = study_runs(toy, f"http://127.0.0.1:{silent.getsockname()[1]}", said.append)
        asked: list[bool] = []

        def finished(trial: FrozenTrial) -> None:
            asked.append(time.monotonic() >= away.not_before)
            away.finished(trial)

        toy.worker(ToyEvaluator(toy.root), finished=finished).work()
    assert asked == [True, *[False] * 5]
    assert len(said) == 1


def test_a_damaged_result_never_reaches_mlflow(bench: MakeBench) -> None:
    toy = finished(bench)
    path = sorted(toy.store.folder.glob("*/outcome.json"))[0]
    path.write_bytes(path.read_bytes().replace(b"0.", b"0.9", 1))
    with pytest.raises(DamagedError, match=r"outcome.json is damaged"):
        study_runs(toy).sync(toy.trials())
    assert path.parent.name not in {run.data.tags["trial_key"] for run in runs(toy)}


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
    monkeypatch.setattr(mlflow_runs, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(mlflow_runs, "PAUSE_TIMES", 0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    toy = bench(GRID)
    toy.start()
    said: list[str] = []
    there: list[int] = []

    class Interrupted(ToyEvaluator):
        def __call__(self, config: TrialConfig, watch: Watch) -> Evaluated:
            done = len(toy.evaluated())
            if done in (2, 4):
                there.append(len(runs(toy)))
                server.stop() if done == 2 else server.start()
            return super().__call__(config, watch)

    here = study_runs(toy, f"http://127.0.0.1:{server.port}", said.append)
    toy.worker(Interrupted(toy.root), finished=here.finished).work()
    there.append(len(runs(toy)))
    here.catch_up(toy.trials())
    assert there == [2, 2, 4], "every trial at once, but for those while it was away"
    assert [line.startswith("MLflow does not answer (") for line in said] == [True]
    found = runs(toy)
    assert len(found) == len({run.data.tags["trial_key"] for run in found}) == 6
    assert {run.info.status for run in found} == {"FINISHED"}
    client = mlflow.MlflowClient(tracking.default_uri(toy.root))
    for run in found:
        assert [m.step for m in client.get_metric_history(run.info.run_id, "epochs/inner_score")] == STEPS


def test_who_is_killed_while_writing_leaves_nothing_twice(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-way through a run, and before its end."""
    toy = finished(bench)

    class KilledError(Exception):
        """In place of SIGKILL: nothing after it runs."""

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    for name in ("set_terminated", "log_batch"):
        with monkeypatch.context() as patched:
            patched.setattr(mlflow.MlflowClient, name, killed)
            with pytest.raises(KilledError):
                study_runs(toy).sync(toy.trials())
    assert study_runs(toy).sync(toy.trials()) == 6
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
    tracked = study_runs(toy)
    tracked.sync(toy.trials())
    experiment = report.publish(study, tracked)
    report.publish(study, tracked)
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
