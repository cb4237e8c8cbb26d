"""The pipeline under DVC: up to date means nothing runs, and an edit reruns what depends on it and no more.

The walk is the table of docs/reruns.md: sources, params.yaml and data are edited in a checkout whose own code
runs, and every edit says which stages it may and must rerun.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[2]
ROOMS = ("packages/data", "packages/encoders", "packages/fusion", "packages/eval", "studies")
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
imported:
  given:
    source: given.csv
    settings: {modality: audio}
weights: {}
encoders:
  logmel: {}
recipes:
  short:
    fusion: {name: early, features: [logmel], training: {max_epochs: 3}}
    seed: 0
  longer:
    fusion: {name: early, features: [logmel], training: {max_epochs: 4, loss: {name: ep-ce}}}
    decision: {name: bayes}
    seed: 0
  foreign:
    fusion: {name: early, features: [given], training: {max_epochs: 2}}
    decision: {name: templates}
    seed: 0
"""
SAME = """\
base: short
grid:
  fusion.training.max_epochs: [3]
"""
TRAIN = {"train@short", "train@longer", "train@foreign"}


def call(folder: Path, *arguments: str) -> str:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The checkout's own code runs, before what is installed.
        "PYTHONPATH": os.pathsep.join(str(folder / room / "src") for room in ROOMS),
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "tester",
        "GIT_AUTHOR_EMAIL": "tester@example.org",
        "GIT_COMMITTER_NAME": "tester",
        "GIT_COMMITTER_EMAIL": "tester@example.org",
    }
    # In one stream, so that what a stage says stands below its name.
    done = subprocess.run(
        [*arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}"
    return done.stdout


def outputs_of(folder: Path) -> dict[str, str]:
    """What every stage leaves -> the checksum that DVC wrote down."""
    stages = YAML(typ="safe").load(folder / "dvc.lock")["stages"].values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def metrics(folder: Path, recipe: str) -> str:
    return (folder / "runs" / "demo" / recipe / "metrics.json").read_text()


def edit(folder: Path, path: str, old: str, new: str) -> None:
    file = folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def write_given(folder: Path, factor: float) -> None:
    clips = sorted(file.stem for file in (folder / "data" / "corpora" / "demo").rglob("*.mp4"))
    rows = [f"{clip},{factor * (place % 7)},{place % 5}" for place, clip in enumerate(clips)]
    (folder / "given.csv").write_text("\n".join(["clip,energy,pitch", *rows]) + "\n")


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
    call(folder, "dvc", "repro", "corpus")
    write_given(folder, 1.0)
    ran = stages_run(call(folder, "dvc", "repro"))
    assert ran == {"index", "features@logmel", "imported@given", "plan", *TRAIN, "compare"}
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "reproduced")
    return folder


@pytest.mark.slow
def test_a_second_repro_runs_nothing(checkout: Path) -> None:
    output = call(checkout, "dvc", "repro")
    assert stages_run(output) == set()
    assert "Data and pipelines are up to date." in output


LOSSES = "packages/fusion/src/blended/fusion/losses/distributions.py"
BAYES = "packages/eval/src/blended/eval/decisions/bayes.py"
FIGURE = "packages/eval/src/blended/eval/figures/confusion.py"
REPORT = "packages/eval/src/blended/eval/report/sentences.py"
ENCODER = "packages/encoders/src/blended/encoders/logmel.py"

WALK: Mapping[str, tuple[str, str, str, set[str], Mapping[str, str]]] = {
    "a comment in a loss": (LOSSES, "    return (", "    # why\n    return (", {"code", "plan"}, {}),
    "a loss": (
        LOSSES,
        "\ndef ep_ce(",
        "\ndef ep_ce(logits_BE, targets_BE, polarity_E):\n"
        "    return 0 * logits_BE.sum(-1)\n\n\ndef former_ep_ce(",
        {"code", "plan", "train@longer", "compare"},
        {"train@longer": "models for up to"},
    ),
    "a decision": (
        BAYES,
        "\ndef fit_bayes(",
        "\ndef edited(function):\n    return function\n\n\n@edited\ndef fit_bayes(",
        {"code", "plan", "train@longer", "compare"},
        {"train@longer": "trained before, read from"},
    ),
    "a figure": (
        FIGURE,
        "\ndef confusion_figure(",
        "\ndef edited(function):\n    return function\n\n\n@edited\ndef confusion_figure(",
        {"code", "plan", *TRAIN, "compare"},
        dict.fromkeys(TRAIN, "only what draws figures has changed; drawn anew"),
    ),
    "the report": (
        REPORT,
        "\ndef headline(",
        "\ndef edited(function):\n    return function\n\n\n@edited\ndef headline(",
        {"code", "plan", "compare"},
        {},
    ),
    "an encoder": (
        ENCODER,
        "\nclass LogMelConfig(",
        "\ndef edited(function):\n    return function\n\n\n@edited\nclass LogMelConfig(",
        {"code", "features@logmel", "plan", "train@short", "train@longer", "compare"},
        {"train@short": "models for up to"},
    ),
    "one more encoder": (
        "params.yaml",
        "  logmel: {}",
        "  logmel: {}\n  prosody: {}",
        {"code", "features@prosody", "plan"},
        {},
    ),
    "one more recipe": (
        "params.yaml",
        "  longer:",
        "  another:\n    fusion: {name: early, features: [logmel], training: {max_epochs: 2}}\n  longer:",
        {"plan", "train@another", "compare"},
        {},
    ),
    "the decision of a recipe": (
        "params.yaml",
        "decision: {name: bayes}",
        "decision: {name: templates}",
        {"plan", "train@longer", "compare"},
        {"train@longer": "trained before, read from"},
    ),
    "the settings of a recipe": (
        "params.yaml",
        "max_epochs: 3",
        "max_epochs: 5",
        {"plan", "train@short", "compare"},
        {},
    ),
}


CHANGES_NUMBERS = {"a loss", "the decision of a recipe", "the settings of a recipe"}


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
def test_the_table_of_edits_and_what_they_rerun(checkout: Path) -> None:
    before = {name: metrics(checkout, name) for name in ("short", "longer", "foreign")}
    for name, (path, old, new, stages, said) in WALK.items():
        edit(checkout, path, old, new)
        output = call(checkout, "dvc", "repro")
        assert stages_run(output) == stages, name
        of_stage = {text.split("'")[0]: text for text in output.split("Running stage '")[1:]}
        for stage, words in said.items():
            assert words in " ".join(of_stage[stage].split()), (name, stage)
        after = {recipe: metrics(checkout, recipe) for recipe in before}
        assert (after != before) == (name in CHANGES_NUMBERS), name
        if after != before:
            edit(checkout, path, new, old)
            # DVC has the plans of before in its cache of runs; what is kept in place is computed again.
            ran = stages_run(call(checkout, "dvc", "repro"))
            assert stages - {"code", "plan"} <= ran <= stages, f"{name}, taken back"
            assert {recipe: metrics(checkout, recipe) for recipe in before} == before, f"{name}, taken back"

    write_given(checkout, 2.0)
    assert stages_run(call(checkout, "dvc", "repro")) == {
        "imported@given",
        "plan",
        "train@foreign",
        "compare",
    }
    # A demo with other settings is rendered only where the one of before was removed: it is never mixed.
    edit(checkout, "params.yaml", "clips_per_actor: 16", "clips_per_actor: 17")
    shutil.rmtree(checkout / "data" / "corpora" / "demo")
    call(checkout, "dvc", "repro", "corpus")
    write_given(checkout, 2.0)
    ran = stages_run(call(checkout, "dvc", "repro"))
    assert ran >= {"index", "features@logmel", "imported@given", "plan", *TRAIN, "compare"}


@pytest.mark.slow
def test_metrics_plots_experiments_and_studies_work(checkout: Path) -> None:
    shown = call(checkout, "dvc", "metrics", "show")
    assert "cross_fold.score" in shown and "runs/demo/short/metrics.json" in shown
    call(checkout, "dvc", "plots", "show")
    page = (checkout / "dvc_plots" / "index.html").read_text()
    images = re.findall(r'<img[^>]+src="([^"]+)"', page)
    recipes = [*checkout.glob("runs/demo/*/confusion.png")]
    assert len(images) == len(recipes) >= 3, "one confusion matrix per recipe"
    assert all(image.startswith("data:") or (checkout / "dvc_plots" / image).is_file() for image in images)

    call(checkout, "git", "commit", "--quiet", "--all", "--message", "longer")
    output = call(checkout, "dvc", "exp", "run", "--name", "other-seed", "-S", "recipes.short.seed=5")
    assert stages_run(output) == {"plan", "train@short", "compare"}
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
