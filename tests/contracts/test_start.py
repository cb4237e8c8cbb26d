"""How a command starts and ends: with what it needs, without waiting for what it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = (
    "matplotlib",
    "mlflow",
    "optuna",
    "pandas",
    "ray",
    "scipy.stats",
    "sklearn",
    "torch._dynamo",
    "transformers",
)
"""Libraries that take from a third of a second to several to import."""


def loaded(code: str) -> set[str]:
    """The modules that a fresh process has imported after some code."""
    code = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr))


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("blended.studies.__main__", (*SLOW, "torch", "numpy", "polars", "pydantic")),
        ("blended.studies.project", (*SLOW, "torch", "numpy", "polars", "pydantic")),
        ("blended.eval.evaluation", (*SLOW, "torch", "scipy")),
        ("blended.eval.predictions", (*SLOW, "torch", "scipy")),
        ("blended.studies.trial", (*SLOW, "scipy", "torchaudio")),
        ("blended.studies.prediction", (*SLOW, "scipy", "torchaudio")),
    ],
)
def test_importing_a_part_leaves_slow_libraries_alone(module: str, spared: tuple[str, ...]) -> None:
    assert not loaded(f"import {module}") & set(spared)


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("no-such-command", 2), ("runs", 1)])
@pytest.mark.parametrize("with_torch", [False, True])
def test_the_status_survives_a_quick_end(
    argument: str, status: int, with_torch: bool, tmp_path: Path
) -> None:
    """And so does what is printed, and what a library does at the end of a process."""
    code = (
        f"import sys, atexit; sys.argv = ['blended', {argument!r}]\n"
        "from blended.studies.__main__ import command, main\n"
        "import blended.studies.__main__ as entry\n"
        "def noted():\n"
        f"    {'import torch' if with_torch else ''}\n"
        "    atexit.register(lambda: print('library tidied up'))\n"
        "    main()\n"
        "entry.main = noted\n"
        "command()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == status
    assert done.stdout.endswith("library tidied up\n")
    assert bool(done.stderr) == bool(status) and "Traceback" not in done.stderr
