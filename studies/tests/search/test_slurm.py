"""The batch script: what an array job of Slurm would run, with a stand-in for the worker."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from studies.tests.search.conftest import JOIN_SECONDS

SCRIPT = Path(__file__).parents[2] / "slurm.sbatch"
WORKER = """\
#!/bin/bash
trap 'echo gave the trial back >> told; exit 0' TERM
echo "$@ threads=$OMP_NUM_THREADS" >> told
for _ in $(seq 6000); do sleep 0.01; done
"""


@pytest.fixture
def submitted(tmp_path: Path) -> dict[str, str]:
    """A folder with a worker that says what it was called with; the environment of a job from there."""
    worker = tmp_path / ".venv" / "bin" / "blended"
    worker.parent.mkdir(parents=True)
    worker.write_text(WORKER)
    worker.chmod(0o755)
    variables = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_CPUS_PER_TASK": "2", "SLURM_ARRAY_TASK_ID": "3"}
    return {**os.environ, **variables, "BLENDED_STUDY_STORAGE": "postgresql://somebody@somewhere/studies"}


def test_a_workers_notice_reaches_it(submitted: dict[str, str], tmp_path: Path) -> None:
    told = tmp_path / "told"
    # Slurm runs the script elsewhere, and with --signal=B tells the shell alone.
    job = subprocess.Popen(["bash", SCRIPT, "fusion"], env=submitted, cwd="/")
    end = time.monotonic() + JOIN_SECONDS
    while not told.is_file() or not told.read_text().endswith("\n"):
        assert time.monotonic() < end and job.poll() is None
        time.sleep(0.01)
    assert told.read_text() == "study work fusion --device cuda threads=2\n"
    job.send_signal(signal.SIGTERM)
    job.wait(JOIN_SECONDS)
    assert told.read_text().splitlines()[1:] == ["gave the trial back"]


def test_a_job_without_a_shared_database_does_not_start(submitted: dict[str, str], tmp_path: Path) -> None:
    del submitted["BLENDED_STUDY_STORAGE"]
    job = subprocess.run(["bash", SCRIPT, "fusion"], env=submitted, capture_output=True, text=True)
    assert job.returncode != 0
    assert "BLENDED_STUDY_STORAGE: set it to postgresql://" in job.stderr
    assert not (tmp_path / "told").exists()
