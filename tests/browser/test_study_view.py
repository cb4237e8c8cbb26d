"""The MLflow view of a study in a real browser: which fusion is best, by how much, is it noise?"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from tests.conftest import Command

from blended.studies.search import study_view

pytestmark = pytest.mark.system

STUDY = """\
question: Early or late fusion on the rendered corpus?
base:
  fusion: {name: early, features: [logmel, motion]}
  decision: {name: thresholds}
space:
  fusion.name: {choice: [early, late]}
  fusion.training.learning_rate: {float: [1e-4, 1e-2], log: true}
budget: {trials: 10, epochs: 6}
pruner: none
"""


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def shot(browser: Chrome, name: str) -> None:
    if folder := os.environ.get("BLENDED_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture
def studied(project: Path, blended: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (project / "fusion.yaml").write_text(STUDY)
    done = blended("study", "run", project / "fusion.yaml", "--root", project)
    assert done.code == 0, done.err
    return project


@pytest.fixture
def server(studied: Path) -> Iterator[str]:
    """`blended ui` on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "blended.studies", "ui", "--root", str(studied), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "MLFLOW_TRACKING_URI": ""}, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1)
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert process.poll() is None, "the server ended"
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=20)


def test_a_study_is_read_in_the_browser(server: str, studied: Path, browser: Chrome) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{studied / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo-studies")
    assert experiment is not None
    ident = experiment.experiment_id
    wait = WebDriverWait(browser, 90)
    # Columns that do not fit are not in the page at all.
    browser.set_window_size(2400, 1100)

    # The view: trials by inner score, with the settings of the study as columns.
    browser.get(study_view.view_address(server, ident, "fusion", charts=False))
    wait.until(lambda page: "fusion#" in text(page) and "inner/score" in text(page))
    assert "choice.fusion.name" in text(browser)
    shot(browser, "study_table")
    trials = client.search_runs([ident], "tags.kind = 'trial'", order_by=["metrics.`inner/score` DESC"])
    first = trials[0].info.run_name
    assert first and text(browser).index(first) < text(browser).index(trials[-1].info.run_name or "")

    # Its charts: parallel coordinates of the settings, presence against salience.
    browser.get("about:blank")
    browser.get(study_view.view_address(server, ident, "fusion"))
    wait.until(lambda page: "Settings against scores" in text(page) and "Parallel Co" in text(page))
    wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, "canvas, svg.main-svg"))
    time.sleep(3)
    shot(browser, "study_charts")

    # The study's own run: the answer in words.
    (parent,) = client.search_runs([ident], "tags.kind = 'study'")
    browser.get(f"{server}/#/experiments/{ident}/runs/{parent.info.run_id}?workflowType=machine_learning")
    wait.until(lambda page: "no choice among trials has seen" in text(page))
    said = text(browser)
    assert "leads" in said and "noise" in said, "which is best, by how much, is it noise"
    shot(browser, "study_answer")

    # Two strategies side by side, with parallel coordinates.
    best = {run.data.params["fusion.name"]: run.info.run_id for run in reversed(trials)}
    assert set(best) == {"early", "late"}
    ids = ",".join(f'"{run_id}"' for run_id in best.values())
    browser.get(f"{server}/#/compare-runs?runs=[{ids}]&experiments=[%22{ident}%22]")
    wait.until(lambda page: "Parallel Coordinates" in text(page) and "fusion.name" in text(page))
    time.sleep(2)
    shot(browser, "study_compare")
