"""A corpus of single labels through every step: what has no meaning for it is nowhere, not even as a zero."""

import json
import re
from pathlib import Path

import pytest
from tests.conftest import Command

from toys.clips import write_clip

CARD = """\
name: tones
table: labels.csv
path: {column: file, suffix: .wav}
actor: who
task: single
label: [what]
emotions: {high: hap, low: sad}
num_folds: 3
"""
PARAMS = """\
corpus: tones
corpora:
  tones: {{source: {source}}}
encoders:
  logmel: {{}}
recipes:
  tones:
    fusion: {{name: early, features: [logmel], training: {{max_epochs: 5}}}}
"""
STUDY = """\
base: tones
grid:
  fusion.training.learning_rate: [2.8e-4, 1.1e-4]
"""
MEANINGLESS = re.compile(r"presence|salience|(?<!inner/)(?<!inner_)(?<!outer/)(?<!outer_)score")
"""Measures of blends. A study calls whatever it chooses by an inner score."""


def tones(folder: Path) -> Path:
    """High tones and low ones, of six people."""
    folder.mkdir()
    lines = ["file,who,what"]
    for number in range(24):
        name = "high" if number % 2 else "low"
        write_clip(folder / f"c{number}.wav", seconds=0.5, tone_hz=(1800 if number % 2 else 250) + 5 * number)
        lines.append(f"c{number},A{number // 4},{name}")
    (folder / "card.yaml").write_text(CARD)
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def keys_of(tree: object) -> set[str]:
    """Every key of nested dictionaries."""
    if not isinstance(tree, dict):
        return set()
    return {str(key) for key in tree} | {key for value in tree.values() for key in keys_of(value)}


def test_single_labels_have_no_measure_of_blends(
    tmp_path: Path, blended: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    source, root = tones(tmp_path / "tones"), tmp_path / "work"
    root.mkdir()
    (root / "params.yaml").write_text(PARAMS.format(source=source))
    (root / "rates.yaml").write_text(STUDY)
    steps = ["data prepare", "data index", "features extract logmel", "train tones", "compare", "runs"]
    done = [blended(*step.split(), "--root", root) for step in steps]
    assert not [one.err for one in done if one.code]
    written = json.loads((root / "runs" / "tones" / "tones" / "metrics.json").read_text())
    assert not [key for key in keys_of(written) if MEANINGLESS.search(key)]
    numbers = written["cross_fold"]
    assert (
        numbers["unweighted_recall_low"] <= numbers["unweighted_recall"] <= numbers["unweighted_recall_high"]
    )
    by_fold = [numbers[f"fold{fold}"]["unweighted_recall"] for fold in range(3)]
    assert numbers["unweighted_recall"] == pytest.approx(sum(by_fold) / 3, abs=1e-12)
    assert "unweighted recall" in " ".join(done[-1].out.split())

    study = blended("study", "run", root / "rates.yaml", "--root", root)
    assert study.code == 0, study.err
    assert "0.00028" in study.out and "0.00011" in study.out
    header = blended("study", "export", "rates", "--root", root).out.splitlines()[0]
    assert "inner_score" in header and "unweighted_recall" in header
    assert not [name for name in header.split(",") if "presence" in name or "salience" in name]
    shown = blended("study", "best", "rates", "--root", root)
    assert shown.code == 0 and "presence" not in shown.out and "salience" not in shown.out
    outcomes = [json.loads(path.read_text()) for path in root.rglob("outcome.json")]
    assert len(outcomes) == 2
    assert all({*one["inner"]["0"]} == {"score", "weighted_recall"} for one in outcomes)

    client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow' / 'mlflow.db'}")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert len(runs) == 4, "a recipe, a study and its two trials"
    for run in runs:
        assert not [key for key in run.data.metrics if MEANINGLESS.search(key)], run.data.tags[
            "mlflow.runName"
        ]
    two = STUDY + "objective: [presence, salience]\n"
    (root / "both.yaml").write_text(two)
    failed = blended("study", "run", root / "both.yaml", "--root", root)
    assert failed.code == 1 and "'tones' has no blends, so nothing has a salience" in failed.err
