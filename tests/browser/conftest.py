"""A headless browser from Debian's packages, and one MLflow server for all pages that are opened in it.

Tests skip, saying so, where the browser is missing.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from blended.studies.__main__ import main

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
SERVER_SECONDS = 180
"""MLflow's start; so long only where the machine is very busy."""

FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """Chromium with a fresh profile, logging what pages write to the console."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    chrome.set_window_size(1280, 1600)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def studied(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project with a finished study, `fusion`, beside its recipes."""
    root = tmp_path_factory.mktemp("studied") / "project"
    shutil.copytree(finished_project, root)
    (root / "fusion.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        patched.setattr(
            sys, "argv", ["blended", "study", "run", str(root / "fusion.yaml"), "--root", str(root)]
        )
        main()
    assert not ended.value.code
    return root


@pytest.fixture(scope="session")
def server(studied: Path) -> Iterator[str]:
    """`blended ui` on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "blended.studies", "ui", "--root", str(studied), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "MLFLOW_TRACKING_URI": ""}, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", process)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=20)


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + SERVER_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < end, f"no answer in {SERVER_SECONDS} s"
            time.sleep(0.3)
