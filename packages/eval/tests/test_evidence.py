"""Scores of several models become aligned evidence."""

import numpy as np
import pytest

from blended.data import InputError, Scores
from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.eval.decisions.thresholds import Thresholds
from blended.eval.evidence import gather

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(4, 6)) * 2
CLIPS = ("a", "b", "c", "d")


def test_columns_are_matched_by_name() -> None:
    order = [5, 3, 0, 1, 4, 2]
    permuted = Scores(CLIPS, tuple(EMOTIONS[column] for column in order), LOGITS[:, order])
    gathered = gather([Scores(CLIPS, EMOTIONS, LOGITS), permuted], list("xxyy"), [0, 0, 1, 1], SPACE)
    np.testing.assert_array_equal(gathered.logits[:, 0], gathered.logits[:, 1])
    np.testing.assert_array_equal(gathered.probabilities()[:, 0], gathered.probabilities()[:, 1])
    assert gathered.actors.tolist() == [0, 0, 1, 1]


def test_late_fusion_is_the_mean_of_the_models_probabilities() -> None:
    other = RNG.normal(size=(4, 6))
    gathered = gather(
        [Scores(CLIPS, EMOTIONS, LOGITS), Scores(CLIPS, EMOTIONS, other)], list("abcd"), [0] * 4, SPACE
    )
    expected = []
    for row in range(4):
        softmax = [np.exp(values[row]) / np.exp(values[row]).sum() for values in (LOGITS, other)]
        expected.append((softmax[0] + softmax[1]) / 2)
    np.testing.assert_allclose(gathered.mean_probabilities(), expected, atol=1e-12)


def test_given_probabilities_are_decided_as_given() -> None:
    """exp(log(p)) may fall one rounding below a threshold that p reaches."""
    table = np.array([[0.05, 0.95, 0, 0, 0, 0], [0.9, 0.05, 0.05, 0, 0, 0]])
    scores = Scores(("a", "b"), EMOTIONS, table, "probabilities")
    gathered = gather([scores], ["x", "y"], [0, 0], SPACE)
    np.testing.assert_array_equal(gathered.probabilities()[:, 0], table)
    assert np.isfinite(gathered.logits).all()
    assert all(mixture.is_blend for mixture in Thresholds(0.05, 0.05).decide(gathered))


def test_take_slices_everything() -> None:
    gathered = gather([Scores(CLIPS, EMOTIONS, LOGITS)], list("wxyz"), [0, 1, 2, 3], SPACE)
    taken = gathered.take(np.array([3, 1]))
    assert (taken.actors.tolist(), taken.folds.tolist()) == ([3, 1], [3, 1])
    np.testing.assert_array_equal(taken.logits, gathered.logits[[3, 1]])
    np.testing.assert_array_equal(taken.probabilities(), gathered.probabilities()[[3, 1]])


def test_models_must_score_the_same_clips() -> None:
    scores = [Scores(CLIPS, EMOTIONS, LOGITS), Scores(CLIPS[::-1], EMOTIONS, LOGITS)]
    with pytest.raises(InputError, match="not of the same clips in the same order; align them first"):
        gather(scores, list("wxyz"), [0, 1, 2, 3], SPACE)
