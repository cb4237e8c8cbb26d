"""How much damage `blended verify` finds: one flipped bit at random places of a file of every kind.

    python benchmarks/damage.py PROJECT [--flips 40]

PROJECT is a folder in which `make repro` and a study that chooses between decisions have run; it is copied.
Prints the table of LOG.md: of how many flips the file was named. SQLite keeps no checksums: of its files only
broken pages and the numbers that results have too are found.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from blended.studies.folders import Folders
from blended.studies.verifying import PARTS, chosen

KINDS = {
    "recording": ("recordings", "data/corpora/*/train/*.mp4"),
    "labels of the demo": ("recordings", "data/corpora/*/train_metadata.csv"),
    "index of a corpus": ("corpus index", "data/index/*.parquet"),
    "findings": ("corpus index", "data/index/*_findings.json"),
    "folds": ("corpus index", "data/index/*_splits.csv"),
    "features: shard": ("features", "data/features/*/*/shard-*.safetensors"),
    "features: index": ("features", "data/features/*/*/index.parquet"),
    "run: metrics": ("runs", "runs/*/*/metrics.json"),
    "run: picture": ("runs", "runs/*/*/confusion.png"),
    "run: predictions": ("runs", "runs/*/*/artifacts/predictions.parquet"),
    "run: model": ("runs", "runs/*/*/artifacts/final.safetensors"),
    "run: decision": ("runs", "runs/*/*/artifacts/decision.json"),
    "run: pipeline": ("runs", "runs/*/*/artifacts/pipeline.json"),
    "run: record": ("runs", "runs/*/*/artifacts/run.json"),
    "run: extras": ("runs", "runs/*/*/artifacts/importance.json"),
    "run: manifest": ("runs", "runs/*/*/artifacts/manifest.json"),
    "study: outcome": ("study results", "runs/*/trials/*/outcome.json"),
    "study: predictions": ("study results", "runs/*/trials/*/predictions.parquet"),
    "study: training": ("study results", "runs/*/trainings/*.safetensors"),
    "MLflow: model": ("MLflow's files", "mlflow/artifacts/models/*/artifacts/artifacts/final.safetensors"),
    "cache: measurements": ("caches", "data/cache/measurements.parquet"),
    "cache: pooled features": ("caches", "data/cache/pooled/*.npy"),
    "SQLite: a study": ("databases", "runs/studies/*/study.db"),
    "SQLite: MLflow": ("databases", "mlflow/mlflow.db"),
}
"""Name -> the part of `verify` that looks at it, and its files."""


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path)
    parser.add_argument("--flips", type=int, default=40, help="per kind of file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".venv", ".git", ".dvc", "report")
        shutil.copytree(given.project, root, ignore=ignored)
        print("| kind of file | flips | named |\n|---|---|---|")
        for kind, (part, pattern) in KINDS.items():
            paths = sorted(path for path in root.glob(pattern) if path.is_file())
            if not paths:
                print(f"| {kind} | none there | |")
                continue
            print(f"| {kind} | {given.flips} | {found(root, part, paths, given.flips)} |", flush=True)


def found(root: Path, part: str, paths: list[Path], flips: int) -> int:
    """Of how many flips the file is named, and nothing else."""
    rng = np.random.default_rng(0)
    folders = Folders(root)
    names = chosen(folders.params)
    total = 0
    for number in range(flips):
        path = paths[number % len(paths)]
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        wrong = {one.path for one in PARTS[part](folders, names) if one.problem}
        path.write_bytes(whole)
        total += wrong == {path}
    return total


if __name__ == "__main__":
    main()
