"""A trained pipeline as an MLflow model: registered with its card, loaded elsewhere, served."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import pytest
from tests.conftest import PARAMS, Command
from tests.end_to_end.test_predict import TEST_CLIPS, artifacts, stored

LOAD = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
assert list(model.input_example.columns) == ["path"]
found = model.predict(pd.DataFrame({"path": sys.argv[2:]}))
print(json.dumps(found.to_dict("records")))
"""


@pytest.fixture(scope="module")
def registered(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with an MLflow store of its own, in which one run is registered."""
    from blended.studies.commands.results import register
    from blended.studies.commands.train import train

    root = Path(shutil.copytree(finished_project, tmp_path_factory.mktemp("registered") / "project"))
    shutil.rmtree(root / "mlflow")
    assert (root / "params.yaml").read_text() == PARAMS
    train(["linear-motion"], root=root, device="cpu", again=True)
    register("linear-motion", alias="champion", name="", root=root)
    return root


def environment(root: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    uri = f"sqlite:///{root / 'mlflow' / 'mlflow.db'}"
    return {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}


def check(found: dict[str, Any], root: Path) -> None:
    row = stored(root, "linear-motion")["test_0001"]
    assert found["problem"] == ""
    for emotion in ("ang", "neu"):
        assert found[f"p_{emotion}"] == pytest.approx(row[f"p_{emotion}"], abs=1e-6)
    shares = json.loads(row["decided"])
    assert {e: found[f"share_{e}"] for e in shares} == shares


def test_the_registered_version_has_alias_card_and_run(registered: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{registered / 'mlflow' / 'mlflow.db'}")
    version = client.get_model_version_by_alias("blended-demo", "champion")
    record = json.loads((artifacts(registered, "linear-motion") / "run.json").read_text())
    assert version.run_id == record["run_id"] and version.tags["recipe"] == "linear-motion"
    names = {artifact.path for artifact in client.list_artifacts(record["run_id"])}
    assert "model_card.md" in names
    card = (registered / "runs" / "demo" / "linear-motion" / "model_card.md").read_text()
    assert version.description == card and len(card) < 5000


def test_the_card_says_what_a_user_must_know(registered: Path) -> None:
    card = (registered / "runs" / "demo" / "linear-motion" / "model_card.md").read_text()
    flat = " ".join(card.split())
    for words in (
        "Synthetic corpus: these numbers say nothing about people",
        "90 labelled clips",
        "5 actor-disjoint folds",
        "set-ratio, cross-fold",
        "95 %, over actors",
        "| presence | 5 |",
        "says nothing about what a person truly feels",
        "informed consent",
        "biometric",
    ):
        assert words in flat
    numbers = json.loads((registered / "runs" / "demo" / "linear-motion" / "metrics.json").read_text())
    assert f"| score | {numbers['cross_fold']['score']:.3f} |" in card


def test_a_second_registration_moves_the_alias(registered: Path, blended: Command) -> None:
    done = blended("register", "linear-motion", "--root", registered, "--alias", "challenger")
    assert done.code == 0 and "blended-demo version 2 is now models:/blended-demo@challenger" in done.out
    wrong = blended("register", "linear-motion", "--root", registered, "--alias", "v1")
    assert wrong.code == 1 and "MLflow does not register 'blended-demo' as 'v1'" in " ".join(
        wrong.err.split()
    )


def test_an_alias_names_a_model(registered: Path, blended: Command) -> None:
    clip = registered / TEST_CLIPS / "test_0001.mp4"
    done = blended("predict", clip, "--run", "models:/blended-demo@champion", "--root", registered, "--json")
    (one,) = json.loads(done.out)["predictions"]
    row = stored(registered, "linear-motion")["test_0001"]
    assert one["probabilities"]["ang"] == pytest.approx(row["p_ang"], abs=1e-6)
    wrong = blended("predict", clip, "--run", "models:/blended-demo@nobody", "--root", registered)
    assert wrong.code == 1 and "has no models:/blended-demo@nobody" in " ".join(wrong.err.split())


def test_it_loads_in_a_clean_process(registered: Path, tmp_path: Path) -> None:
    clip = registered / TEST_CLIPS / "test_0001.mp4"
    arguments = ["-c", LOAD, "models:/blended-demo@champion", str(clip), str(tmp_path / "none.mp4")]
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(registered),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout.splitlines()[-1])
    check(first, registered)
    assert "none.mp4 does not exist" in second["problem"] and second["state"] == ""
    assert [*tmp_path.iterdir()] == [], "nothing is left in the working folder"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
def test_it_is_served_on_loopback(registered: Path, tmp_path: Path) -> None:
    port = free_port()
    arguments = ["models", "serve", "-m", "models:/blended-demo@champion", "--env-manager", "local"]
    arguments += ["-h", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *arguments],
        env=environment(registered),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        clip = str(registered / TEST_CLIPS / "test_0001.mp4")
        body = json.dumps({"dataframe_split": {"columns": ["path"], "data": [[clip]]}}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            (found,) = json.loads(answer.read())["predictions"]
        check(found, registered)
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(120):
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"{address} did not answer within a minute")
