"""Per-actor standardisation: what it makes, and what it must not see."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.data.corpora.blemore import SPACE
from blended.eval.calibration import CALIBRATIONS, none, standardise_per_actor
from blended.eval.evidence import Evidence


def toy(seed: int = 0, actors: tuple[int, ...] = (0,) * 9 + (1,) * 5 + (2,) * 7) -> Evidence:
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(np.array(actors))
    logits = rng.normal(size=(len(actors), 2, 6)) * rng.uniform(0.1, 9, size=(3, 2, 6))[numbers]
    return Evidence(logits, numbers, np.zeros(len(actors), dtype=np.int64), SPACE)


def test_every_score_of_every_actor_has_zero_mean_and_unit_spread() -> None:
    calibrated = standardise_per_actor(toy())
    for actor in (0, 1, 2):
        values = calibrated.logits[calibrated.actors == actor]
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-12)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_a_shift_and_scale_per_actor_model_and_emotion_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = toy()
    shift = rng.normal(size=(3, 2, 6)) * 20
    scale = rng.uniform(0.01, 100, size=(3, 2, 6))
    moved = replace(evidence, logits=evidence.logits * scale[evidence.actors] + shift[evidence.actors])
    np.testing.assert_allclose(
        standardise_per_actor(moved).logits, standardise_per_actor(evidence).logits, atol=1e-8
    )


def test_an_actor_is_calibrated_by_own_clips_only() -> None:
    evidence = toy()
    mine = evidence.actors == 1
    others_changed = replace(evidence, logits=np.where(mine[:, None, None], evidence.logits, 99.0))
    np.testing.assert_array_equal(
        standardise_per_actor(others_changed).logits[mine], standardise_per_actor(evidence).logits[mine]
    )


def test_one_clip_of_an_actor_becomes_zero() -> None:
    calibrated = standardise_per_actor(toy(actors=(0, 0, 0, 1)))
    np.testing.assert_array_equal(calibrated.logits[calibrated.actors == 1], 0)


def test_a_score_that_does_not_vary_becomes_zero_and_not_rounding_noise() -> None:
    """The mean of three times 0.1 is not 0.1: dividing by that spread would make noise of size 1."""
    evidence = toy(actors=(0, 0, 0))
    evidence.logits[:, 0, 0] = 0.1
    assert (evidence.logits[:, 0, 0] != evidence.logits[:, 0, 0].mean()).any()
    np.testing.assert_array_equal(standardise_per_actor(evidence).logits[:, 0, 0], 0)


def test_given_probabilities_do_not_survive_calibration() -> None:
    evidence = toy()
    given_probabilities = np.full((21, 2, 6), 1 / 6)
    calibrated = standardise_per_actor(replace(evidence, given_probabilities=given_probabilities))
    assert calibrated.given_probabilities is None
    assert calibrated.probabilities()[0, 0] != pytest.approx(1 / 6)


def test_none_returns_the_evidence_itself() -> None:
    evidence = toy()
    assert none(evidence) is evidence
    assert set(CALIBRATIONS) == {"none", "actor"}
