"""Each distribution installs and imports alone, with only what it declares."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDERS = {
    "data": "packages/data",
    "encoders": "packages/encoders",
    "fusion": "packages/fusion",
    "eval": "packages/eval",
    "studies": "studies",
}
UV = Path(sys.executable).with_name("uv")


def run(*arguments: str | Path) -> str:
    # Without the outer environment's PYTHONPATH and VIRTUAL_ENV, an inner one cannot see it.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


def declared(name: str) -> set[str]:
    """The distributions of this project that `name` needs, itself and indirect ones included."""
    table = tomllib.loads((REPOSITORY / FOLDERS[name] / "pyproject.toml").read_text())
    direct = {
        d.removeprefix("blended-") for d in table["project"]["dependencies"] if d.startswith("blended-")
    }
    return {name}.union(*(declared(other) for other in direct))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for place in FOLDERS.values():
        run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY / place)
    assert len([*folder.glob("*.whl")]) == len(FOLDERS)
    return folder


@pytest.fixture(scope="session")
def constraints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked versions, without hashes: those of our own wheels are not in the lock."""
    path = tmp_path_factory.mktemp("lock") / "constraints.txt"
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    path.write_text("\n".join(line.removesuffix(" \\") for line in lines if not line.startswith(" ")))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FOLDERS])
def test_alone_in_an_empty_environment(name: str, wheels: Path, constraints: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path)
    run(UV, "pip", "install", "--quiet", "--python", python, "--find-links", wheels,
        "--constraint", constraints, f"blended-{name}")  # fmt: skip
    probe = (
        f"import blended.{name}, importlib.util as u, json;"
        f"print(json.dumps([n for n in {[*FOLDERS]} if u.find_spec('blended.' + n)]))"
    )
    assert set(json.loads(run(python, "-c", probe))) == declared(name)
    walk = (
        f"import blended.{name} as p, importlib, pkgutil;"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.')"
        " if not m.name.endswith('__main__')]"
    )
    run(python, "-c", walk)
    if name == "eval":
        absent = f"import importlib.util as u; print([n for n in {[*ABSENT[:5]]} if u.find_spec(n)])"
        assert run(python, "-c", absent) == "[]\n"
        (tmp_path / "score.py").write_text(SCORE)
        run(python, tmp_path / "score.py", tmp_path)
        assert "--metadata" in run(tmp_path / "bin" / "blended-evaluate", "--help")


ABSENT = ("torch", "ray", "mlflow", "optuna", "dvc", "blended.studies", "blended.encoders", "blended.fusion")
"""What scoring a table must not need."""
SCORE = (
    f"ABSENT = {ABSENT!r}"
    + r"""
import json, sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"{name} is asked for", name=name)

sys.meta_path.insert(0, Absent())
folder = Path(sys.argv[1])
rows = [(f"c{n}", n % 8, n % 2, n % 3) for n in range(48)]
names = ("calm", "joy", "fear")
(folder / "scores.csv").write_text("filename,fold,calm,joy,fear\n" + "\n".join(
    f"{clip},{fold},{','.join('2.5' if k == label else str(who / 9) for k in range(3))}"
    for clip, who, fold, label in rows))
(folder / "labels.csv").write_text("filename,actor,fold,label\n" + "\n".join(
    f"{clip},P{who},{fold},{names[label]}" for clip, who, fold, label in rows))
from blended.eval import evaluate
result = evaluate(folder / "scores.csv", folder / "labels.csv")
assert result.to_json()["unweighted_recall"] == 1, result.table()
assert result.to_frame().height == 2 and result.figure().axes
from blended.eval.command import main
sys.argv = ["blended-evaluate", str(folder / "scores.csv"), "--metadata", str(folder / "labels.csv"),
            "--json", str(folder / "out.json")]
try:
    main()
except SystemExit as ended:
    assert not ended.code
assert json.loads((folder / "out.json").read_text())["weighted_recall"] == 1
"""
)


def test_a_table_is_scored_without_what_trains(tmp_path: Path) -> None:
    """Neither the other rooms nor torch, Ray, MLflow, Optuna or DVC are as much as looked for."""
    script = tmp_path / "score.py"
    script.write_text(SCORE)
    run(sys.executable, script, tmp_path)


@pytest.mark.parametrize("name", [*FOLDERS])
def test_importing_is_quiet_and_needs_nothing(name: str) -> None:
    """No output, no network library loaded by data or eval, no torch where there must be none."""
    code = f"import sys, blended.{name}; print(sorted(sys.modules))"
    modules = run(sys.executable, "-c", code)
    assert modules.count("\n") == 1
    if name in ("data", "eval", "studies"):
        assert "'torch'" not in modules
    assert "'mlflow'" not in modules


def test_the_lock_has_hashes_and_no_address() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in text
    pins = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
    assert len(pins) > 100
    assert text.count("--hash=sha256:") >= len(pins)
    for expected in ("torch==2.11.", "torchaudio==2.11.", "torchvision==0.26."):
        assert expected in text
