"""Scores on inner folds: decisions fit on other actors, and on nobody where there is nobody else."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from blended.data import Clip, Corpus
from blended.data.demo.signatures import label_space
from blended.eval.protocol import Protocol
from blended.fusion.run import Epoch
from blended.studies.inner import inner_scores, watcher

SPACE = label_space()


def corpus(actors_per_fold: int) -> Corpus:
    clips = [
        Clip(
            id=f"f{fold}_a{actor}_{number}",
            path=Path(f"{fold}_{actor}_{number}.mp4"),
            actor=f"{fold}{actor}",
            split="train",
            fold=fold,
            mixture=state,
        )
        for fold in range(3)
        for actor in range(actors_per_fold)
        for number, state in enumerate(SPACE.states)
    ]
    return Corpus(name="toy", space=SPACE, clips=tuple(clips), synthetic=True)


def noisy(given: Corpus) -> np.ndarray:
    targets = np.array([given.target(clip) for clip in given.train])
    scores = targets + np.random.default_rng(0).uniform(0, 0.3, targets.shape)
    return scores / scores.sum(axis=1, keepdims=True)


def test_a_fold_of_one_actor_is_decided_without_fitting() -> None:
    alone = corpus(1)
    predicted = noisy(alone)
    fitted, plain = (inner_scores(alone, predicted, Protocol(n)) for n in ("thresholds", "templates"))
    assert fitted == plain
    several = corpus(2)
    predicted = noisy(several)
    assert inner_scores(several, predicted, Protocol("thresholds")) != inner_scores(
        several, predicted, Protocol("templates")
    )


def test_actors_of_an_inner_fold_are_scored_alone() -> None:
    several = corpus(2)
    predicted = np.array([several.target(clip) for clip in several.train])
    # Of actor 11 everything is taken for one emotion, which is right for the clips of that emotion alone.
    constant, rows = SPACE.emotions[0], [r for r, clip in enumerate(several.train) if clip.actor == "11"]
    predicted[rows] = np.eye(len(SPACE.emotions))[0]
    scores = inner_scores(several, predicted, Protocol("templates"))
    right = [state for state in SPACE.states if not state.is_blend and constant in state.emotions]
    # Fold k is chosen for on the fold after it.
    assert {fold: one.per_actor for fold, one in scores.items()} == {
        0: {"10": 1.0, "11": pytest.approx(len(right) / len(SPACE.states) / 2)},
        1: {"20": 1.0, "21": 1.0},
        2: {"00": 1.0, "01": 1.0},
    }


def test_epochs_are_told_fold_by_fold() -> None:
    """Two models of one fold, one of another, none of the third, whose training is over."""
    several = corpus(1)
    good, bad = noisy(several), np.full((len(several.train), len(SPACE.emotions)), 1 / len(SPACE.emotions))
    rows = {fold: np.array([r for r, c in enumerate(several.train) if c.fold == fold]) for fold in range(3)}
    told: list[tuple[int, float, Mapping[int, float]]] = []
    on_epoch = watcher(several, lambda *epoch: told.append(epoch))
    watched = [(rows[fold], values[rows[fold]]) for fold, values in ((1, good), (1, bad), (2, good))]
    on_epoch(Epoch(7, watched))
    plain = Protocol("templates")
    of_good, of_bad = (inner_scores(several, values, plain) for values in (good, bad))
    expected = {0: (of_good[0].score + of_bad[0].score) / 2, 1: of_good[1].score}
    ((number, mean, folds),) = told
    assert number == 7
    assert folds == pytest.approx(expected)
    assert mean == pytest.approx((of_good[0].score + of_bad[0].score + of_good[1].score) / 3)
