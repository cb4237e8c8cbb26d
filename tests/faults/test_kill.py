"""Killed at any moment, a training that is run again ends with the numbers of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import Command


@pytest.mark.slow
@pytest.mark.parametrize("after_seconds", [4.0, 7.0])
def test_train_survives_kill_9(project: Path, blended: Command, after_seconds: float) -> None:
    folder = project / "runs" / "demo" / "late-both-actor"
    undisturbed = json.loads((folder / "metrics.json").read_text())
    command = [sys.executable, "-m", "blended.studies", "train", "late-both-actor", "--again", "--root"]
    process = subprocess.Popen([*command, str(project)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after_seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for name in ("predictions.parquet", "final.safetensors"):
        assert (folder / "artifacts" / name).is_file(), "half a run must not take the old one with it"
    assert blended("train", "late-both-actor", "--root", project).code == 0
    assert blended("compare", "--root", project).code == 0
    assert json.loads((folder / "metrics.json").read_text()) == undisturbed
