"""Which code and data a run was made from."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML


@dataclass(frozen=True, slots=True)
class Commit:
    """The state of the working tree."""

    sha: str
    """Empty outside a git checkout."""
    dirty: bool
    """Whether tracked files differ from the commit; dvc.lock does not count, the pipeline writes it."""


def git_commit(root: Path) -> Commit:
    """The checked-out commit below `root`."""
    sha = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)dvc.lock")
    return Commit(sha, bool(changed))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=30
        )
    except FileNotFoundError:  # git is not installed: provenance is then unknown, not wrong
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def dvc_hash(root: Path, output: Path) -> str:
    """The hash that dvc.lock has for an output; empty if the pipeline has not made it."""
    lock = root / "dvc.lock"
    if not lock.is_file():
        return ""
    stages = YAML(typ="safe").load(lock).get("stages", {})
    wanted = output.relative_to(root).as_posix()
    for stage in stages.values():
        for out in stage.get("outs", []):
            if out["path"] == wanted:
                return str(out["md5"])
    return ""
