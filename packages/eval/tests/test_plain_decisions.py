"""The obvious decisions: argmax for single labels, identity for intensities."""

import numpy as np
import pytest

from blended.data import InputError, LabelSpace
from blended.eval.decisions import DECISIONS, FitOptions
from blended.eval.decisions.decider import intensities
from blended.eval.evidence import Evidence
from blended.eval.measures.recall import recalls

NAMES = ("ang", "hap", "sad")


def evidence(space: LabelSpace, logits: np.ndarray) -> Evidence:
    clips = np.zeros(len(logits), dtype=np.int64)
    return Evidence(logits, clips, clips, space)


def test_argmax_is_the_largest_mean_probability() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 2, 3)) * 3
    given = evidence(LabelSpace(NAMES, "single"), logits)
    decided = DECISIONS["argmax"](given, [], FitOptions()).decide(given)
    for row, mixture in enumerate(decided):
        powers = np.exp(logits[row])
        mean = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
        assert mixture.shares == ((NAMES[int(mean.argmax())], 100.0),)
    assert recalls(decided, decided).unweighted == 1.0


def test_intensities_are_the_mean_score_cut_to_their_range() -> None:
    given = evidence(LabelSpace(NAMES, "intensities"), np.array([[[0.2, -1.0, 0.9], [0.4, 0.0, 1.5]]]))
    (label,) = intensities(given)
    assert label.kind == "intensities" and label.emotions == NAMES
    assert label.values == pytest.approx((0.3, 0.0, 1.0))


def test_intensities_of_another_task_are_refused() -> None:
    with pytest.raises(InputError, match="the task is 'single', expected 'intensities'"):
        intensities(evidence(LabelSpace(NAMES, "single"), np.zeros((1, 1, 3))))
