"""A measure that somebody adds is one line of a table: every step of a run and of a study then has it."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Command
from tests.end_to_end.test_single_labels import PARAMS, STUDY, tones

from blended.data import Mixture
from blended.eval.measures import MEASURES, Measure, Terms, alone


def _wrong(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> np.ndarray:
    return np.array([t != d for t, d in zip(truth, decided, strict=True)], dtype=np.float64)


def error_rate(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> float:
    return float(_wrong(truth, decided).mean())


def error_terms(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> Terms:
    ones = np.ones((len(truth), 1))
    return Terms(np.stack([_wrong(truth, decided)[:, None], ones], axis=-1), ones)


TOY = Measure(
    "error_rate", "errors", "Errors", "error rate", ("single",), error_rate, error_terms, alone,
    larger_is_better=False,
)  # fmt: skip


def test_a_new_measure_is_in_runs_and_studies_and_in_mlflow(
    tmp_path: Path, blended: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which every number is one less the weighted recall, which was there before."""
    from mlflow import MlflowClient

    monkeypatch.setitem(MEASURES, TOY.key, TOY)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "work"
    root.mkdir()
    (root / "params.yaml").write_text(PARAMS.format(source=tones(tmp_path / "tones")))
    (root / "rates.yaml").write_text(STUDY)
    steps = ["data prepare", "data index", "features extract logmel", "train tones", "study run rates.yaml"]
    monkeypatch.chdir(root)
    assert not [one.err for one in (blended(*step.split(), "--root", root) for step in steps) if one.code]

    numbers = json.loads((root / "runs" / "tones" / "tones" / "metrics.json").read_text())["cross_fold"]
    assert numbers["error_rate"] == pytest.approx(1 - numbers["weighted_recall"])
    assert {"errors_low", "errors_high"} <= numbers.keys() and "error_rate" in numbers["fold0"]

    outcomes = [json.loads(path.read_text()) for path in root.rglob("outcome.json")]
    assert len(outcomes) == 2
    for row in (row for one in outcomes for part in ("inner", "outer") for row in one[part].values()):
        assert row["errors"] == pytest.approx(1 - row["weighted_recall"])
    assert all("error_rate" in one["metrics"] for one in outcomes)
    exported = blended("study", "export", "rates", "--root", root).out.splitlines()
    for row in csv.DictReader(exported):
        assert float(row["error_rate"]) == pytest.approx(1 - float(row["weighted_recall"]), abs=2e-3)
    assert "inner_errors" in exported[0]
    assert "error_rate" in blended("study", "best", "rates", "--root", root).out
    checked = blended("verify", "--root", root)
    assert checked.code == 0, checked.out + checked.err

    # Of one that is younger than the runs and trials: what was not stored is missing, and nothing else.
    younger = replace(TOY, key="younger_rate", short="younger", words="younger rate")
    monkeypatch.setitem(MEASURES, younger.key, younger)
    shown = blended("runs", "--root", root)
    assert shown.code == 0 and "younger rate" in " ".join(shown.out.split()) and "none" in shown.out
    later = list(csv.DictReader(blended("study", "export", "rates", "--root", root).out.splitlines()))
    assert later[0]["younger_rate"] == "" and "inner_younger" not in later[0]
    assert later[-1]["younger_rate"] == later[-1]["error_rate"]

    client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow' / 'mlflow.db'}")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert len(runs) == 4 and all("error_rate" in run.data.metrics for run in runs)
    trials = [run.data.metrics for run in runs if run.data.tags.get("kind") == "trial"]
    assert len(trials) == 2
    assert all({"inner/errors", "outer/errors", "fold0/inner_errors"} <= one.keys() for one in trials)
