"""The door to scoring: tables of any label space in, a result with intervals out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from blended.data import Clip, Corpus, InputError, LabelSpace, Mixture
from blended.data.index import build_index, write_index
from blended.eval import evaluate
from blended.eval.measures.agreement import mean_pearson
from blended.eval.measures.blends import presence_accuracy
from blended.eval.predictions import Predictions, write_predictions
from blended.eval.protocol import Protocol

NAMES = ("calm", "joy", "fear")
NUM = 96
ACTORS = np.arange(NUM) % 8
FOLDS = ACTORS % 2
KEYS: dict[str, Any] = {"filename": [f"c{row}" for row in range(NUM)], "fold": FOLDS.tolist()}
PEOPLE: dict[str, Any] = {**KEYS, "actor": [f"P{who}" for who in ACTORS]}
SINGLES = [Mixture.single(NAMES[row % 3]) for row in range(NUM)]
BLENDS = [Mixture({"joy": 70, "fear": 30}) if row % 4 == 3 else SINGLES[row] for row in range(NUM)]


def scores(targets: np.ndarray, noise: float = 0.6) -> dict[str, Any]:
    given = 3 * targets + np.random.default_rng(0).normal(0, noise, targets.shape)
    return {**KEYS, **{name: given[:, k].tolist() for k, name in enumerate(NAMES)}}


def targets(truth: list[Mixture]) -> np.ndarray:
    return np.array([LabelSpace(NAMES).target(one) for one in truth])


def test_single_labels_from_a_plain_label_column(tmp_path: Path) -> None:
    labels = {**PEOPLE, "label": [one.name for one in SINGLES]}
    pl.DataFrame(scores(targets(SINGLES))).write_csv(tmp_path / "scores.csv")
    pl.DataFrame(labels).sample(fraction=1, shuffle=True, seed=1).write_csv(tmp_path / "labels.csv")
    found = evaluate(tmp_path / "scores.csv", tmp_path / "labels.csv")
    assert found.evaluation.protocol.decision == "argmax"
    frame = found.to_frame()
    assert frame["measure"].to_list() == ["unweighted_recall", "weighted_recall"]
    assert (frame["low"] <= frame["value"]).all() and (frame["value"] <= frame["high"]).all()
    # The same from memory, in another order of clips: no number depends on it beyond rounding.
    again = evaluate(pl.DataFrame(scores(targets(SINGLES))), labels)
    assert again.to_frame()["value"].to_list() == pytest.approx(frame["value"].to_list())
    answers = again.answers()
    assert answers["decided"].to_list() == [one.name for one in again.evaluation.mixtures]
    by_hand = np.mean([t == d for t, d in zip(answers["truth"], answers["decided"], strict=True)])
    assert again.to_json()["weighted_recall"] == pytest.approx(by_hand)
    alone = evaluate({**labels, **scores(targets(SINGLES))})  # One table of scores and labels.
    assert alone.to_json() == again.to_json()
    assert "unweighted recall" in again.table() and "8 actors" in again.table()
    assert len(again.figure().axes)


def test_intensities_from_columns_named_as_the_scores() -> None:
    truth = np.random.default_rng(1).random((NUM, 3))
    labels = {**PEOPLE, **{name: truth[:, k].tolist() for k, name in enumerate(NAMES)}}
    given = {**KEYS, **{n: (0.8 * truth[:, k]).tolist() for k, n in enumerate(NAMES)}}
    found = evaluate(given, labels)
    assert found.to_json()["mean_pearson"] == pytest.approx(1) and found.detail is None
    expected = [mean_pearson(0.8 * truth[fold == FOLDS], truth[fold == FOLDS]) for fold in (0, 1)]
    assert found.to_frame()["value"][0] == pytest.approx(np.mean(expected))
    assert {"truth_joy", "decided_joy"} <= {*found.answers().columns} and len(found.figure().axes)
    with pytest.raises(InputError, match="standardised per actor are no intensities"):
        evaluate(given, labels, normalise="actor")


@pytest.mark.parametrize("decision", ["templates", "set-ratio"])
def test_blends_of_other_emotions(decision: str) -> None:
    shares = [dict(one.shares) for one in BLENDS]
    labels = {
        **PEOPLE,
        "emotion_1": [next(iter(one)) for one in shares],
        "emotion_2": [[*one][1] if len(one) > 1 else None for one in shares],
        "emotion_1_salience": [next(iter(one.values())) if len(one) > 1 else None for one in shares],
        "emotion_2_salience": [[*one.values()][1] if len(one) > 1 else None for one in shares],
    }
    found = evaluate(scores(targets(BLENDS)), labels, decision=decision)
    assert found.given.labelled.space.states[3:] == (Mixture({"joy": 70, "fear": 30}),)
    written = json.loads(json.dumps(found.to_json()))
    folds = [
        presence_accuracy(
            [BLENDS[row] for row in np.flatnonzero(fold == FOLDS)],
            [found.evaluation.mixtures[row] for row in np.flatnonzero(fold == FOLDS)],
        )
        for fold in (0, 1)
    ]
    assert written["presence_accuracy"] == pytest.approx(np.mean(folds))
    assert written["detail"]["pairs"]["fear+joy"]["clips"] == sum(one.is_blend for one in BLENDS)
    assert found.evaluation.protocol == Protocol(decision)


def test_predictions_of_a_run_bring_their_labels(tmp_path: Path) -> None:
    """As a run writes them: probabilities, whatever `kinds` says, and what is true of every clip."""
    space = LabelSpace(NAMES, states=tuple(dict.fromkeys(BLENDS)))
    p = np.exp(targets(BLENDS) * 3)
    given = Predictions(
        tuple(KEYS["filename"]),
        tuple(PEOPLE["actor"]),
        tuple(KEYS["fold"]),
        p / p.sum(axis=1, keepdims=True),
        tuple(BLENDS),
        tuple(BLENDS),
    )
    path = tmp_path / "predictions.parquet"
    write_predictions(path, given, space)
    found = evaluate(path, decision="templates")
    assert found.given.kinds == ["probabilities"] and found.to_json()["presence_accuracy"] == 1
    path.write_bytes(path.read_bytes()[:-40] + b"x" * 40)
    with pytest.raises(InputError):
        evaluate(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": ["jo"] * NUM}, "unknown emotion 'jo': did you mean 'joy'?"),
        ({"label": [""] * NUM}, "there is no label: fill it"),
        ({"fold": ["x"] * NUM}, "fold holds 'x', expected a whole number"),
        ({"fold": [row % 3 for row in range(NUM)]}, "P"),
    ],
)
def test_labels_that_cannot_be_read_are_named(change: dict[str, Any], sentence: str) -> None:
    labels = {**PEOPLE, "label": [one.name for one in SINGLES], **change}
    with pytest.raises(InputError) as raised:
        evaluate(scores(targets(SINGLES)), labels)
    assert sentence in str(raised.value)


def test_scores_without_labels_say_what_to_give() -> None:
    given = scores(targets(SINGLES))
    with pytest.raises(InputError, match="give labels with --metadata FILE or --corpus NAME"):
        evaluate(given)
    with pytest.raises(InputError, match="no label among them: expected a table of labels"):
        evaluate(given, PEOPLE)
    with pytest.raises(InputError, match=r"lacks the column\(s\) actor"):
        evaluate(given, {**KEYS, "label": [one.name for one in SINGLES]})
    with pytest.raises(InputError, match="got labels twice"):
        evaluate(given, PEOPLE, corpus="demo")
    with pytest.raises(InputError, match=r"none\.parquet does not exist"):
        evaluate(given, corpus="none")


def test_labels_of_an_indexed_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = LabelSpace(NAMES, "single", tuple(map(Mixture.single, NAMES)))
    clips = [
        Clip(name, tmp_path / f"{name}.mp4", who, fold=fold, mixture=mixture)
        for name, who, fold, mixture in zip(
            PEOPLE["filename"], PEOPLE["actor"], PEOPLE["fold"], SINGLES, strict=True
        )
    ]
    corpus = Corpus("toy", space, tuple(clips), synthetic=False, has_media=False)
    path = tmp_path / "data" / "index" / "toy.parquet"
    path.parent.mkdir(parents=True)
    write_index(build_index(corpus, tmp_path / "cache", folder=tmp_path), path)
    monkeypatch.chdir(tmp_path)
    found = evaluate(scores(targets(SINGLES)), corpus="toy")
    labels = {**PEOPLE, "label": [one.name for one in SINGLES]}
    assert found.to_json() == evaluate(scores(targets(SINGLES)), labels).to_json()
    assert evaluate(scores(targets(SINGLES)), corpus=str(path)).to_json() == found.to_json()
