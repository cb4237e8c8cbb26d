"""A corpus of intensities through every step: a table of one's own, training, report, prediction."""

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.conftest import Command

from toys.clips import write_clip

NAMES = ("awe", "joy")
CARD = """\
name: tones
table: labels.csv
path: {column: file, suffix: .wav}
actor: who
task: intensities
label: [awe, joy]
emotions: {awe: awe, joy: joy}
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
    fusion: {{name: early, features: [logmel], training: {{max_epochs: 20}}}}
"""


def tones(folder: Path) -> Path:
    """The higher the tone, the more awe; the louder, the more joy."""
    folder.mkdir()
    rng, lines = random.Random(0), ["file,who,awe,joy"]
    for number in range(36):
        awe, joy = rng.random(), rng.random()
        write_clip(
            folder / f"c{number}.wav", seconds=0.5, tone_hz=200 + 2000 * awe, amplitude=0.02 + 0.5 * joy
        )  # fmt: skip
        lines.append(f"c{number},A{number % 6},{awe:.3f},{joy:.3f}")
    (folder / "card.yaml").write_text(CARD)
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_intensities_from_a_table_to_a_new_file(tmp_path: Path, blended: Command) -> None:
    from mlflow import MlflowClient

    source, root = tones(tmp_path / "tones"), tmp_path / "work"
    root.mkdir()
    (root / "params.yaml").write_text(PARAMS.format(source=source))
    steps = ["data prepare", "data index", "features extract logmel", "train tones", "compare"]
    for step in steps:
        done = blended(*step.split(), "--root", root)
        assert done.code == 0, f"{step}: {done.err}"
    run = root / "runs" / "tones" / "tones"
    written = json.loads((run / "metrics.json").read_text())
    assert written.keys() == {"cross_fold"}
    numbers = written["cross_fold"]
    assert numbers["mean_pearson_low"] <= numbers["mean_pearson"] <= numbers["mean_pearson_high"]
    table = pl.read_parquet(run / "artifacts" / "predictions.parquet")
    assert table.columns == ["filename", "actor", "fold", "p_awe", "p_joy", "truth_awe", "truth_joy"]
    values = table.select("p_awe", "p_joy").to_numpy()
    assert values.min() >= 0 and values.max() <= 1 and abs(values.sum(axis=1) - 1).max() > 0.01
    by_fold = [
        np.mean([np.corrcoef(part[f"p_{name}"], part[f"truth_{name}"])[0, 1] for name in NAMES])
        for _, part in sorted(table.group_by("fold"))
    ]
    assert numbers["mean_pearson"] == pytest.approx(np.mean(by_fold)) and numbers["mean_pearson"] > 0.3
    page = (root / "report" / "index.html").read_text()
    assert "mean Pearson correlation" in page and "Emotion by emotion" in page
    assert "mean concordance correlation" in " ".join(blended("runs", "--root", root).out.split())
    client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow' / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "tones"]
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.data.metrics["mean_pearson"] == pytest.approx(numbers["mean_pearson"])
    assert logged.data.tags["protocol"] == "identity, cross-fold"
    figures = [one.path for one in client.list_artifacts(logged.info.run_id, "figures")]
    assert figures == ["figures/agreement.png"]
    done = blended("predict", source / "c0.wav", "--run", "tones", "--root", root, "--json")
    (one,) = json.loads(done.out)["predictions"]
    assert one["state"] == "" and one["emotions"] == [] and {*one["probabilities"]} == {*NAMES}
    assert one["calibrated_probabilities"] == one["probabilities"]
    done = blended("predict", source / "c0.wav", "--run", "tones", "--root", root)
    assert done.code == 0 and "awe" in done.out
