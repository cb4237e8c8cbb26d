"""Scores on inner folds: decisions fit on other actors, and on nobody where there is nobody else."""

from pathlib import Path

import numpy as np

from blended.data import Clip, Corpus
from blended.data.demo.signatures import label_space
from blended.eval.protocol import Protocol
from blended.studies.inner import inner_scores

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
