"""A tiny project, run once: five actors, a hundred clips of less than a second."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from blended.studies.__main__ import main

PARAMS = """\
corpus: demo
corpora:
  demo:
    num_train_actors: 5
    num_test_actors: 1
    clips_per_actor: 18
    min_seconds: 0.6
    max_seconds: 0.9
    frame_px: 96
encoders:
  logmel: {}
  motion: {}
recipes:
  linear-logmel:
    fusion: {name: early, features: [logmel], training: {max_epochs: 10}}
    nesting: plain
  linear-motion:
    fusion: {name: early, features: [motion], training: {max_epochs: 10}}
  late-both-actor:
    fusion: {name: late, features: [logmel, motion], training: {max_epochs: 10}}
    decision: {name: templates, normalise: actor}
"""


@dataclass(frozen=True)
class Outcome:
    """What a call of the command gave."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def blended(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `blended ARGUMENTS` as the installed command does, in this process."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["blended", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every step has run once; shared by all workers, so copy it before changing it."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished-project"
    with FileLock(f"{root}.lock"):
        if not (root / "report").is_dir():
            root.mkdir(exist_ok=True)
            (root / "params.yaml").write_text(PARAMS)
            run_everything(root)
    return root


def run_everything(root: Path) -> None:
    """The pipeline's steps in order, in this process."""
    steps = [("data", "prepare"), ("data", "index"), ("features", "extract", "logmel", "motion")]
    steps += [("train", name) for name in ("linear-logmel", "linear-motion", "late-both-actor")]
    for step in (*steps, ("compare",)):
        workers = ["--workers", "1"] if step[0] in ("data", "features") else []
        sys.argv = ["blended", *step, "--root", str(root), *workers]
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, step


@pytest.fixture
def project(finished_project: Path, tmp_path: Path) -> Path:
    """A copy of the finished project that a test may break."""
    return Path(shutil.copytree(finished_project, tmp_path / "project"))
