"""`dvc repro` as a whole on real recordings, with the parameters that the documentation gives.

Simple linear models are known to reach an unweighted recall of about .48 from eGeMAPS, .61 from action units,
.72 from both together and .69 from both fused late; other folds and another training may differ a little.
"""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.end_to_end.test_dvc import REPOSITORY, call, stages_run

from blended.data.labels import Mixture

RECIPES = {"audio": 0.40, "face": 0.56, "early": 0.62, "late": 0.60}
"""Recipe -> the least unweighted recall that is expected of it."""
ESTIMATE = re.compile(r"(0?\.\d+)\s\[(0?\.\d+),\s(0?\.\d+)\]")
SOURCES = ("packages", "studies", "dvc.yaml", ".dvc/config", ".dvcignore", ".gitignore")


def documented_params(audio: Path, units: Path) -> str:
    """The YAML of docs/ravdess.md, with the paths of this machine."""
    page = (REPOSITORY / "docs" / "ravdess.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 1
    return (
        blocks[0]
        .replace("/where/the/recordings/are", str(audio))
        .replace("/where/openface_au_clip_means.csv", str(units))
    )


@pytest.fixture(scope="module")
def reproduced(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scratch checkout in which `dvc repro` has run once."""
    audio, units = reference / "ravdess" / "audio", reference / "ravdess" / "openface_au_clip_means.csv"
    if not audio.is_dir() or not units.is_file():
        pytest.skip(f"no RAVDESS recordings in {reference / 'ravdess'}")
    if importlib.util.find_spec("opensmile") is None:
        pytest.skip("opensmile is not installed: it is an extra")
    folder = tmp_path_factory.mktemp("ravdess") / "checkout"
    for name in SOURCES:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "params.yaml").write_text(documented_params(audio, units))
    (folder / ".gitignore").open("a").write("/home/\n")
    call(folder, "git", "init", "--quiet")
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "checkout")
    ran = stages_run(call(folder, "dvc", "repro"))
    assert {"corpus", "index", "features@egemaps", "imported@action-units", "compare"} <= ran
    assert {f"train@{recipe}" for recipe in RECIPES} <= ran
    return folder


def plain_recall(folder: Path, recipe: str) -> float:
    """Unweighted mean over the emotions of the share of their clips that is recognised, clip by clip."""
    table = pl.read_parquet(folder / "runs" / "ravdess" / recipe / "artifacts" / "predictions.parquet")
    right: dict[str, list[bool]] = {}
    for truth, decided in zip(table["truth"], table["decided"], strict=True):
        right.setdefault(Mixture.from_json(truth).name, []).append(truth == decided)
    assert (len(right), table.height) == (8, 719)
    return sum(sum(clips) / len(clips) for clips in right.values()) / len(right)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_modality_and_fusion_has_its_recall_with_interval(reproduced: Path, recipe: str) -> None:
    metrics = json.loads((reproduced / "runs" / "ravdess" / recipe / "metrics.json").read_text())[
        "cross_fold"
    ]
    recall, low, high = (metrics[f"unweighted_recall{end}"] for end in ("", "_low", "_high"))
    assert low < recall < high
    assert recall > RECIPES[recipe]
    # A mean over folds beside a mean over all clips: nearly the same.
    assert recall == pytest.approx(plain_recall(reproduced, recipe), abs=0.03)


@pytest.mark.slow
def test_no_actor_is_in_two_folds(reproduced: Path) -> None:
    splits = pl.read_csv(reproduced / "data" / "index" / "ravdess_splits.csv", infer_schema=False)
    assert splits.group_by("actor").agg(pl.col("fold").n_unique())["fold"].to_list() == [1] * 12
    assert splits["fold"].n_unique() == 6


@pytest.mark.slow
def test_the_report_shows_unweighted_recall(reproduced: Path) -> None:
    """In its table and on its page, with intervals, for each modality and both fusions."""
    lines = (reproduced / "report" / "table.md").read_text().splitlines()
    head = next(line for line in lines if line.startswith("|") and "UAR" in line)
    place = [cell.strip() for cell in head.split("|")].index("UAR")
    for recipe in RECIPES:
        row = next(line for line in lines if line.startswith(f"| {recipe} |"))
        shown = ESTIMATE.search(row.split("|")[place])
        assert shown is not None, row
        metrics = json.loads((reproduced / "runs" / "ravdess" / recipe / "metrics.json").read_text())
        expected = [metrics["cross_fold"][f"unweighted_recall{end}"] for end in ("", "_low", "_high")]
        assert [float(value) for value in shown.groups()] == pytest.approx(expected, abs=0.006)
    assert "unweighted recall" in call(reproduced, "blended", "runs")
    page = (reproduced / "report" / "index.html").read_text()
    assert "UAR" in page
    assert "byte for byte" in page, "what was left out is told with its reason"


@pytest.mark.slow
def test_a_second_repro_runs_nothing(reproduced: Path) -> None:
    assert stages_run(call(reproduced, "dvc", "repro")) == set()
