"""The pipeline under DVC: up to date means nothing runs, and a change reruns what depends on it alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[2]
PARAMS = """\
corpus: demo
corpora:
  demo:
    num_train_actors: 5
    num_test_actors: 0
    clips_per_actor: 16
    min_seconds: 0.5
    max_seconds: 0.6
    frame_px: 64
max_failures: 0
imported: {}
weights: {}
encoders:
  logmel: {}
recipes:
  short:
    fusion: {name: early, features: [logmel], training: {max_epochs: 3}}
    seed: 0
  longer:
    fusion: {name: early, features: [logmel], training: {max_epochs: 4}}
    seed: 0
"""
SAME = """\
base: short
grid:
  fusion.training.max_epochs: [3]
"""


def call(folder: Path, *arguments: str) -> str:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "tester",
        "GIT_AUTHOR_EMAIL": "tester@example.org",
        "GIT_COMMITTER_NAME": "tester",
        "GIT_COMMITTER_EMAIL": "tester@example.org",
    }
    done = subprocess.run([*arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def outputs_of(folder: Path) -> dict[str, str]:
    """What every stage leaves -> the checksum that DVC wrote down."""
    stages = YAML(typ="safe").load(folder / "dvc.lock")["stages"].values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed checkout of the sources with a corpus of a few seconds, reproduced once."""
    folder = tmp_path_factory.mktemp("dvc") / "checkout"
    folder.mkdir()
    for name in ("packages", "studies", "dvc.yaml", ".dvc/config", ".dvcignore", ".gitignore"):
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / ".gitignore").open("a").write("/home/\n")
    call(folder, "git", "init", "--quiet")
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "checkout")
    ran = stages_run(call(folder, "dvc", "repro"))
    assert ran == {"corpus", "index", "features@logmel", "train@short", "train@longer", "compare"}
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "reproduced")
    return folder


@pytest.mark.slow
def test_a_second_repro_runs_nothing(checkout: Path) -> None:
    output = call(checkout, "dvc", "repro")
    assert stages_run(output) == set()
    assert "Data and pipelines are up to date." in output


@pytest.mark.slow
def test_damage_is_computed_again_and_never_becomes_the_record(checkout: Path) -> None:
    """One flipped bit in what each stage leaves: DVC writes down what is whole, and every number stays."""
    artifacts = checkout / "runs/demo/short/artifacts"
    before = {path: path.read_bytes() for path in checkout.glob("runs/**/*") if path.is_file()}
    locked = outputs_of(checkout)
    truncated = artifacts / "predictions.parquet"
    truncated.write_bytes(truncated.read_bytes()[:-1])
    for name in (
        "runs/demo/short/artifacts/final.safetensors",
        "data/features/demo/logmel/shard-00001.safetensors",
        "data/index/demo.parquet",
        next(iter(sorted(checkout.glob("data/corpora/demo/train/*.mp4")))).relative_to(checkout),
    ):
        content = bytearray((checkout / name).read_bytes())
        content[len(content) // 2] ^= 1
        # Written anew: the file that DVC keeps may be the same one.
        (checkout / name).unlink()
        (checkout / name).write_bytes(content)
    output = call(checkout, "dvc", "repro")
    said = " ".join(output.split())
    for name in ("final.safetensors is damaged", "predictions.parquet is damaged", "it is rendered anew"):
        assert name in said, output
    assert "1 shards are computed again" in said and "kept" not in said
    made = {path: path.read_bytes() for path in checkout.glob("runs/**/*") if path.is_file()}
    changed = {path for path, content in made.items() if before.get(path) != content}
    # Which run of MLflow's it is, and of which commit.
    assert changed <= {artifacts / name for name in ("run.json", "manifest.json", "pipeline.json")}
    call(checkout, "blended", "verify")
    now = outputs_of(checkout)
    assert {path for path in now if now[path] != locked[path]} <= {"runs/demo/short/artifacts", "report"}
    assert stages_run(call(checkout, "dvc", "repro")) == set()
    call(checkout, "git", "commit", "--quiet", "--all", "--message", "whole again")


@pytest.mark.slow
def test_one_recipe_reruns_alone_and_metrics_plots_and_experiments_work(checkout: Path) -> None:
    params = checkout / "params.yaml"
    params.write_text(params.read_text().replace("max_epochs: 4", "max_epochs: 5"))
    assert stages_run(call(checkout, "dvc", "repro")) == {"train@longer", "compare"}

    # A comment in the code asks for every training again; the runs know that nothing has changed.
    before = (checkout / "runs" / "demo" / "short" / "metrics.json").read_text()
    (checkout / "studies/src/blended/studies/trial.py").open("a").write("# touched\n")
    output = call(checkout, "dvc", "repro")
    assert {"train@short", "train@longer"} <= stages_run(output)
    assert " ".join(output.split()).count("those of the existing run; kept") == 2
    assert (checkout / "runs" / "demo" / "short" / "metrics.json").read_text() == before

    shown = call(checkout, "dvc", "metrics", "show")
    assert "cross_fold.score" in shown and "runs/demo/short/metrics.json" in shown
    call(checkout, "dvc", "plots", "show")
    page = (checkout / "dvc_plots" / "index.html").read_text()
    images = re.findall(r'<img[^>]+src="([^"]+)"', page)
    assert len(images) == 2, "one confusion matrix per recipe"
    assert all(image.startswith("data:") or (checkout / "dvc_plots" / image).is_file() for image in images)

    call(checkout, "git", "commit", "--quiet", "--all", "--message", "longer")
    output = call(checkout, "dvc", "exp", "run", "--name", "other-seed", "-S", "recipes.short.seed=5")
    assert stages_run(output) == {"train@short", "compare"}
    table = call(checkout, "dvc", "exp", "show", "--csv")
    assert "other-seed" in table and "recipes.short.seed" in table

    # A study on the same configuration is the same run, with the same numbers; asked again it looks them up.
    made = json.loads((checkout / "runs" / "demo" / "short" / "artifacts" / "run.json").read_text())
    tracked = json.loads((checkout / "runs" / "demo" / "short" / "metrics.json").read_text())["cross_fold"]
    trials = checkout / "runs" / "demo" / "trials"
    written: list[int] = []
    for name in ("same", "asked_again"):
        (checkout / f"{name}.yaml").write_text(SAME)
        call(checkout, "blended", "study", "run", f"{name}.yaml")
        (outcome,) = trials.glob("*/outcome.json")
        assert outcome.parent.name == made["identity"]
        numbers = json.loads(outcome.read_text())["metrics"]
        for key in ("score", "presence_accuracy", "salience_accuracy", "score_low", "score_high"):
            assert numbers[key] == tracked[key]
        written.append(outcome.stat().st_mtime_ns)
    assert written[0] == written[1]
