"""The JSON that other people's scripts read: exactly these keys."""

import json

import numpy as np
import pytest

from blended.data.corpora.blemore import SPACE
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.protocol import Protocol
from blended.eval.scoring import evaluation_json

KEYS = {
    "folds", "presence_accuracy", "salience_accuracy", "score", "presence_interval", "salience_interval",
    "score_interval", "intervals_over", "decision", "tune", "normalise", "calibrate", "seed", "nesting",
    "blended_version",
}  # fmt: skip
FOLD_KEYS = {"fold", "clips", "presence_accuracy", "salience_accuracy"}


def result(protocol: Protocol) -> dict[str, object]:
    """Through JSON and back, so that nothing of numpy is left."""
    actors = np.repeat(np.arange(4), 36)
    logits = np.random.default_rng(0).normal(size=(144, 1, 6))
    evidence = Evidence(logits, actors, actors % 2, SPACE)
    return json.loads(json.dumps(evaluation_json(evaluate(evidence, list(SPACE.states) * 4, protocol))))


@pytest.mark.parametrize(
    ("decision", "fitted"),
    [
        ("thresholds", {"alpha", "beta"}),
        ("templates", set[str]()),
        ("bayes", {"inverse_penalty"}),
        ("set-ratio", {"inverse_penalty"}),
    ],
)
def test_the_keys_are_the_contract(decision: str, fitted: set[str]) -> None:
    read = result(Protocol(decision, "actor", seed=5))
    assert read.keys() == KEYS
    folds = read["folds"]
    assert isinstance(folds, list)
    assert [fold.keys() for fold in folds] == [FOLD_KEYS | fitted] * 2
    assert [fold["clips"] for fold in folds] == [72, 72]
    assert (read["decision"], read["tune"], read["normalise"], read["seed"]) == (
        decision, "cross-fold", "actor", 5,
    )  # fmt: skip


def test_score_and_intervals_are_consistent() -> None:
    read = result(Protocol("thresholds"))
    presence, salience, score = (read[key] for key in ("presence_accuracy", "salience_accuracy", "score"))
    assert isinstance(presence, float) and isinstance(salience, float)
    assert score == pytest.approx((presence + salience) / 2, abs=1e-12)
    for name in ("presence", "salience", "score"):
        interval = read[f"{name}_interval"]
        assert isinstance(interval, list)
        low, high = interval
        value = read[name if name == "score" else f"{name}_accuracy"]
        assert 0 <= low <= value <= high <= 1
    assert read["intervals_over"] == "4 actors, pooled over 2 folds"


def test_what_is_not_the_default_is_named() -> None:
    read = result(Protocol("templates", "actor", calibrate="vector", enrol_clips=8))
    assert read.keys() == KEYS | {"enrol_clips"}
    assert (read["calibrate"], read["enrol_clips"]) == ("vector", 8)
