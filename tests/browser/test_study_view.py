"""The MLflow view of a study in a real browser: which fusion is best, by how much, is it noise?"""

import os
import time
from pathlib import Path

import mlflow
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from blended.studies.search import study_view

pytestmark = pytest.mark.system


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def shot(browser: Chrome, name: str, settled_seconds: float = 0) -> None:
    """For the README, if asked for; charts are drawn over some seconds."""
    if folder := os.environ.get("BLENDED_SCREENSHOTS"):
        time.sleep(settled_seconds)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def test_a_study_is_read_in_the_browser(server: str, studied: Path, browser: Chrome) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{studied / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo-studies")
    assert experiment is not None
    ident = experiment.experiment_id
    wait = WebDriverWait(browser, 90)
    # Columns that do not fit are not in the page at all.
    browser.set_window_size(2400, 1100)

    # The view: trials by inner score, with the settings of the study as columns.
    trials = client.search_runs([ident], "tags.kind = 'trial'", order_by=["metrics.`inner/score` DESC"])
    names = [run.info.run_name or "nameless" for run in trials]
    browser.get(study_view.view_address(server, ident, "fusion", charts=False))
    wait.until(lambda page: all(one in text(page) for one in (*names, "inner/score", "choice.fusion.name")))
    assert text(browser).index(names[0]) < text(browser).index(names[-1])
    shot(browser, "study_table")

    # Its charts: parallel coordinates of the settings, presence against salience.
    browser.get("about:blank")
    browser.get(study_view.view_address(server, ident, "fusion"))
    wait.until(lambda page: "Settings against scores" in text(page) and "Parallel Co" in text(page))
    wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, "canvas, svg.main-svg"))
    shot(browser, "study_charts", 3)

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
    shot(browser, "study_compare", 2)
