"""What DVC takes for a raw corpus of thousands of clips: adding, asking for its status, pushing and pulling.

`dvc --version` is there to be subtracted: that is what starting the program takes.

    python benchmarks/dvc_status.py [CLIPS]     # 3000 by default
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLIP_BYTES = 40_000
"""A clip of 3 seconds of the demo corpus."""
PER_FOLDER = 60
BIN = Path(sys.executable).parent


def make_corpus(folder: Path, number: int) -> None:
    """Files of noise, sixty to a folder, as a corpus has one folder for each actor."""
    rng = np.random.default_rng(0)
    for clip in range(number):
        path = folder / f"actor_{clip // PER_FOLDER:03d}" / f"clip_{clip:05d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(CLIP_BYTES))


def call(folder: Path, *command: str) -> float:
    """Runs a command and returns its seconds; what it prints is shown if it fails."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def main() -> None:
    """Prints a table of steps and seconds."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    with tempfile.TemporaryDirectory() as temporary:
        project, remote = Path(temporary) / "project", Path(temporary) / "remote"
        make_corpus(project / "raw" / "clips", number)
        for command in ("git init --quiet", "dvc init --quiet", f"dvc remote add --default store {remote}"):
            call(project, *command.split())
        print(f"| {number} clips of {CLIP_BYTES // 1000} kB | seconds |\n|---|---|", flush=True)

        def report(name: str, command: str) -> None:
            print(f"| {name} | {call(project, *command.split()):.1f} |", flush=True)

        report("`dvc --version`", "dvc --version")
        report("`dvc add raw/clips`", "dvc add raw/clips")
        report("`dvc status`, nothing changed", "dvc status")
        (project / "raw" / "clips" / "actor_000" / "clip_00000.mp4").touch()
        report("`dvc status`, one clip touched", "dvc status")
        report("`dvc push`", "dvc push")
        shutil.rmtree(project / "raw" / "clips")
        shutil.rmtree(project / ".dvc" / "cache")
        report("`dvc pull` into an empty clone", "dvc pull")
        report("`dvc status` after it", "dvc status")


if __name__ == "__main__":
    main()
