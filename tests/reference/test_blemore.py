"""Real labels, real model outputs and the organisers' own results for them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blended.data.corpora import blemore
from blended.eval import presence_accuracy, salience_accuracy
from blended.eval.decisions import DECISIONS
from blended.eval.official import read_predictions
from blended.studies.__main__ import app


def blemore_file(reference: Path, name: str) -> Path:
    path = reference / "blemore" / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path


def discovered(reference: Path, pattern: str) -> list[Path]:
    files = sorted((reference / "blemore").glob(pattern))
    if not files:
        pytest.skip(f"no {pattern} in {reference / 'blemore'}")
    return files


def run_evaluate(*arguments: str | Path) -> None:
    outcome = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output


def test_every_official_metric_case(reference: Path) -> None:
    for path in discovered(reference, "official_metric_cases_*.json"):
        cases = json.loads(path.read_text())
        assert cases
        for case in cases:
            predicted = read_predictions(case["predictions"])
            truth = [blemore.truth_from_name(stem) for stem in predicted]
            decided = list(predicted.values())
            assert presence_accuracy(truth, decided) == pytest.approx(case["presence_accuracy"], abs=1e-12)
            assert salience_accuracy(truth, decided) == pytest.approx(case["salience_accuracy"], abs=1e-12)


def test_in_fold_thresholds_are_the_organisers(reference: Path, tmp_path: Path) -> None:
    metadata = blemore_file(reference, "train_metadata.csv")
    for path in discovered(reference, "hicmae_*_validation_logits.csv"):
        official = json.loads(
            path.with_name(
                path.name.replace("_validation_logits.csv", "_official_thresholds.json")
            ).read_text()
        )
        out = tmp_path / "out.json"
        run_evaluate(path, "--metadata", metadata, "--scores", "logits", "--decision", "thresholds",
                     "--tune", "in-fold", "--json", out)  # fmt: skip
        folds = json.loads(out.read_text())["folds"]
        assert [fold["fold"] for fold in folds] == [fold["fold"] for fold in official]
        for ours, theirs in zip(folds, official, strict=True):
            assert ours["clips"] == theirs["clips"]
            for key, official_key in [
                ("alpha", "alpha"),
                ("beta", "beta"),
                ("presence_accuracy", "acc_presence"),
                ("salience_accuracy", "acc_salience"),
            ]:
                assert ours[key] == pytest.approx(theirs[official_key], abs=1e-9), key


def test_cross_fold_is_not_above_in_fold(reference: Path, tmp_path: Path) -> None:
    """Tuning on the reported fold can only raise its score, fold by fold."""
    metadata = blemore_file(reference, "train_metadata.csv")
    for path in discovered(reference, "hicmae_*_validation_logits.csv"):
        scores: dict[str, list[float]] = {}
        for tune in ("in-fold", "cross-fold"):
            out = tmp_path / f"{tune}.json"
            run_evaluate(path, "--metadata", metadata, "--decision", "thresholds", "--tune", tune, "--json",
                         out)  # fmt: skip
            scores[tune] = [
                fold["presence_accuracy"] + fold["salience_accuracy"]
                for fold in json.loads(out.read_text())["folds"]
            ]
        pairs = list(zip(scores["in-fold"], scores["cross-fold"], strict=True))
        assert all(inside >= across for inside, across in pairs)
        assert any(inside > across for inside, across in pairs)


@pytest.mark.parametrize(
    ("decision", "presence", "salience"),
    [("most-frequent-single", 0.078, 0.000), ("most-frequent-blend", 0.057, 0.035)],
)
def test_trivial_baselines_are_the_published(
    reference: Path, tmp_path: Path, decision: str, presence: float, salience: float
) -> None:
    """BLEMORE paper, validation table, last rows."""
    path = discovered(reference, "hicmae_*_validation_logits.csv")[0]
    out = tmp_path / "out.json"
    run_evaluate(path, "--metadata", blemore_file(reference, "train_metadata.csv"), "--decision", decision,
                 "--json", out)  # fmt: skip
    result = json.loads(out.read_text())
    assert result["presence_accuracy"] == pytest.approx(presence, abs=0.002)
    assert result["salience_accuracy"] == pytest.approx(salience, abs=0.002)


@pytest.mark.parametrize(("normalise", "at_least"), [("actor", 0.27), ("none", 0.20)])
def test_learned_decision_beats_the_thresholds(
    reference: Path, tmp_path: Path, normalise: str, at_least: float
) -> None:
    """Two real outputs fused late; a plain multinomial is known to reach .283 and .215."""
    files = discovered(reference, "hicmae_*_validation_logits.csv")
    out = tmp_path / "out.json"
    run_evaluate(*files, "--metadata", blemore_file(reference, "train_metadata.csv"), "--decision", "bayes",
                 "--normalise", normalise, "--json", out)  # fmt: skip
    assert json.loads(out.read_text())["score"] >= at_least


def test_train_metadata_has_the_published_counts(reference: Path) -> None:
    clips = blemore.read_metadata(blemore_file(reference, "train_metadata.csv"))
    truth = [clip.mixture for clip in clips]
    assert len(clips) == 2456
    assert len({clip.actor for clip in clips}) == 47
    assert [sum(clip.fold == fold for clip in clips) for fold in range(5)] == [522, 486, 468, 472, 508]
    assert sum(mixture is not None and not mixture.is_blend for mixture in truth) == 1130
    assert sum(mixture is not None and mixture.is_blend for mixture in truth) == 1326
    assert {"thresholds", "templates", "bayes", "set-ratio"} <= DECISIONS.keys()
