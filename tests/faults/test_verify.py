"""`blended verify`: one flipped bit in each kind of file is named, with a command; else all is well."""

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Command
from tests.faults.test_damage import flip

from blended.studies.__main__ import main
from blended.studies.verifying import BEFORE

STUDY = """\
base: linear-logmel
grid:
  decision.name: [templates, set-ratio]
"""
KINDS = {
    "data/index/demo.parquet": "blended data index",
    "data/index/demo_findings.json": "blended data index",
    "data/index/demo_splits.csv": "blended data index",
    "data/corpora/demo/train/*.mp4": "blended data prepare",
    "data/features/demo/logmel/index.parquet": "blended features extract logmel",
    "data/features/demo/logmel/shard-*.safetensors": "blended features extract logmel",
    "data/features/demo/mine/shard-*.safetensors": "blended features import mine",
    "data/features/demo/mine/provenance.json": "blended features import mine",
    "runs/demo/late-both-actor/metrics.json": "blended train late-both-actor",
    "runs/demo/late-both-actor/confusion.png": "blended train late-both-actor",
    "runs/demo/late-both-actor/artifacts/*": "blended train late-both-actor",
    "runs/demo/gone/artifacts/run.json": "rm -r {root}/runs/demo/gone",
    "runs/demo/trials/*/outcome.json": "blended study resume tiny",
    "runs/demo/trials/*/predictions.parquet": "blended study resume tiny",
    "runs/demo/trainings/*.safetensors": "rm {path}",
    "data/checkpoints/half/training.safetensors": "rm {path}",
    "data/cache/measurements.parquet": "rm {path}",
    "data/cache/pooled/*.npy": "rm {path}",
    "mlflow/artifacts/models/*/artifacts/artifacts/*": "blended train ",
    "weights/start.safetensors": "blended pretrain hicmae --out {path}",
}
"""Files -> what `verify` says to type when one bit of the first of them is flipped."""


def call(*arguments: str | Path) -> None:
    sys.argv = ["blended", *map(str, arguments)]
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, arguments


@pytest.fixture(scope="module")
def store(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a file of every kind; tests put back what they change."""
    import numpy as np

    from blended.data.checksums import write_tensors

    root = tmp_path_factory.mktemp("verify") / "project"
    shutil.copytree(finished_project, root)
    clips = sorted((root / "data/corpora/demo").glob("*/*.mp4"))
    np.savez(root / "mine.npz", X=np.ones((len(clips), 3)), filenames=np.array([one.stem for one in clips]))
    params = root / "params.yaml"
    weights = "weights: {logmel: weights/start.safetensors}\n"
    imported = f"imported:\n  mine: {{source: {root / 'mine.npz'}, settings: {{modality: audio}}}}\n"
    params.write_text(params.read_text() + weights + imported)
    write_tensors(root / "weights/start.safetensors", {"w": np.ones(9)})
    write_tensors(root / "data/checkpoints/half/training.safetensors", {"w": np.ones(9)})
    call("features", "import", "mine", "--root", root)
    (root / "tiny.yaml").write_text(STUDY)
    call("study", "run", root / "tiny.yaml", "--root", root)
    return root


def verified(blended: Command, root: Path) -> tuple[int, list[str], str]:
    """Exit status, lines of faults, and all that was printed."""
    done = blended("verify", "--root", root)
    lines = done.out.splitlines()
    return done.code, lines[: lines.index("")] if "" in lines else [], done.out


def test_all_is_well(store: Path, blended: Command) -> None:
    code, faults, out = verified(blended, store)
    assert code == 0 and not faults, out
    for part in ("corpus index", "recordings", "features", "runs", "checkpoints", "pre-trained weights",
                 "study results", "databases", "MLflow's files", "caches"):  # fmt: skip
        assert part in out
    assert out.endswith("all is as it was written\n")


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_is_named_with_what_to_type(store: Path, blended: Command, kind: str) -> None:
    if "gone" in kind:
        shutil.copytree(store / "runs/demo/linear-motion", store / "runs/demo/gone", dirs_exist_ok=True)
    paths = sorted(path for path in store.glob(kind) if path.is_file())
    assert paths
    for path in paths if kind.endswith("artifacts/*") else paths[:1]:
        whole = path.read_bytes()
        path.write_bytes(
            whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 8]) + whole[len(whole) // 2 + 1 :]
        )
        code, faults, out = verified(blended, store)
        path.write_bytes(whole)
        assert code == 1 and len(faults) == 1, out
        assert faults[0].startswith(f"{path} is damaged"), faults
        remedy = faults[0].rpartition(": ")[2]
        assert remedy.startswith(KINDS[kind].format(path=path, root=store)), faults
    if "gone" in kind:
        shutil.rmtree(store / "runs/demo/gone")


@pytest.mark.parametrize("name", ["runs/studies/tiny/study.db", "mlflow/mlflow.db"])
def test_a_database_with_a_broken_page_is_named(store: Path, blended: Command, name: str) -> None:
    path = store / name
    with sqlite3.connect(path) as database:  # What is in the log of writes only is not in the file.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(4096) + whole[8192:])
    code, faults, _ = verified(blended, store)
    path.write_bytes(whole)
    assert code == 1 and f"{path} is damaged: SQLite says" in faults[0]
    assert f"mv {path} {path}.damaged" in faults[0]


CHANGES = {
    "runs/studies/tiny/study.db": (
        "UPDATE trial_values SET value = value + 0.001",
        "numbers of trial 0",
    ),
    "mlflow/mlflow.db": ("UPDATE latest_metrics SET value = 0.9 WHERE key = 'score'", "numbers of"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_number_in_a_database_is_named(store: Path, blended: Command, name: str) -> None:
    path = store / name
    whole = path.read_bytes()
    with sqlite3.connect(path) as database:
        database.execute(CHANGES[name][0])
    database.close()
    code, faults, _ = verified(blended, store)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    path.write_bytes(whole)
    assert code == 1 and f"{path} is damaged: it has other {CHANGES[name][1]}" in faults[0]
    assert verified(blended, store)[0] == 0


def test_what_is_missing_or_of_before_checksums_is_said(project: Path, blended: Command) -> None:
    artifacts = project / "runs/demo/linear-motion/artifacts"
    (project / "runs/demo/linear-logmel/artifacts/decision.json").unlink()
    (artifacts / "manifest.json").unlink()
    record = json.loads((artifacts / "run.json").read_text())
    del record["checksums"]
    (artifacts / "run.json").write_text(json.dumps(record))
    (project / "data/features/demo/motion/shard-00000.safetensors").unlink()
    next((project / "data/corpora/demo/test").glob("*.mp4")).unlink()
    code, faults, _ = verified(blended, project)
    said = "\n".join(faults)
    assert code == 1 and len(faults) == 4
    assert f"{artifacts} {BEFORE}: blended train linear-motion" in said
    assert "decision.json is missing: blended train linear-logmel" in said
    assert "shard-00000.safetensors is missing: blended features extract motion" in said
    assert ".mp4 is missing: blended data prepare" in said


def test_it_works_without_params_and_without_anything(tmp_path: Path, blended: Command) -> None:
    code, faults, out = verified(blended, tmp_path)
    assert code == 0 and not faults and "nothing is stored below" in out


def test_it_loads_nothing_that_trains_and_is_quick(finished_project: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from blended.studies.folders import Folders; from blended.studies.verifying import verify\n"
        f"verify(Folders(Path({str(finished_project)!r})))\n"
        "print([name for name in ('torch', 'mlflow', 'optuna', 'sklearn', 'scipy') if name in sys.modules])\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 3


def test_the_remedies_remedy(store: Path, tmp_path: Path, blended: Command) -> None:
    """Damage of several kinds, then what was said, then all is well and the numbers are the old ones."""
    root = Path(shutil.copytree(store, tmp_path / "copy"))
    before = json.loads((root / "runs/demo/linear-motion/metrics.json").read_text())
    damaged = (
        "data/index/demo.parquet",
        "data/corpora/demo/train/*.mp4",
        "data/features/demo/motion/shard-*.safetensors",
        "data/features/demo/motion/index.parquet",
        "runs/demo/linear-motion/artifacts/final.safetensors",
        "runs/demo/trials/*/predictions.parquet",
        "runs/demo/trainings/*.safetensors",
        "data/cache/pooled/*.npy",
    )
    for kind in damaged:
        flip(sorted(root.glob(kind))[0])
    code, faults, _ = verified(blended, root)
    assert code == 1 and len(faults) == len(damaged)
    for fault in faults:
        program, *arguments = fault.rpartition(": ")[2].split()
        if program == "blended":
            done = blended(*arguments, "--root", root)
            assert done.code == 0, (fault, done.err)
        else:
            Path(arguments[-1]).unlink(missing_ok=True)
    code, faults, out = verified(blended, root)
    assert code == 0, out
    assert json.loads((root / "runs/demo/linear-motion/metrics.json").read_text()) == before
