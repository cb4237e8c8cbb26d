"""The report and the MLflow view, opened in a real browser."""

import json
import os
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from blended.studies import saved_view, tracking

pytestmark = pytest.mark.system
RECIPES = ("linear-logmel", "linear-motion", "late-both-actor")


def severe(browser: Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requested(browser: Chrome) -> list[str]:
    """Addresses on any network that were asked for since the browser started."""
    sent = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    urls = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if url.startswith(("http", "ws"))]


@pytest.mark.parametrize("width", [1280, 400])
def test_report_is_readable_and_asks_for_nothing(finished_project: Path, browser: Chrome, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get((finished_project / "report" / "index.html").as_uri())
    text = browser.find_element(By.TAG_NAME, "body").text
    assert all(recipe in text for recipe in RECIPES)
    assert "say nothing about people" in text
    overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, f"the page is {overflow} px wider than the window"
    assert severe(browser) == []
    assert requested(browser) == []


def test_saved_view_ranks_runs_by_score(server: str, studied: Path, browser: Chrome) -> None:
    experiment = tracking.open_experiment(f"sqlite:///{studied / 'mlflow' / 'mlflow.db'}", "demo", studied)
    browser.get(saved_view.view_address(server, experiment))
    WebDriverWait(browser, 60).until(
        lambda page: all(recipe in page.find_element(By.TAG_NAME, "body").text for recipe in RECIPES)
    )
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "salience_accuracy" in text and "presence_accuracy" in text
    if folder := os.environ.get("BLENDED_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / "mlflow_runs.png"))
    assert [url for url in requested(browser) if not url.startswith(server)] == []
