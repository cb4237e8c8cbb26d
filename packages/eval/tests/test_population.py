"""What people are like: planted truths are found, formulas agree with a plainer writing of them."""

from dataclasses import replace

import numpy as np
import pytest

from blended.eval.normalisation import Population, population


def planted(
    rng: np.random.Generator, num_actors: int, between: float, within: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 10 to 60 clips per actor, one score; `within` is a variance per actor."""
    actors = np.repeat(np.arange(num_actors), rng.integers(10, 61, num_actors))
    habits = 3 + rng.normal(size=num_actors) * np.sqrt(between)
    noise = rng.normal(size=len(actors)) * np.sqrt(within[actors])
    return (habits[actors] + noise)[:, None], actors


def test_what_was_planted_is_found() -> None:
    rng = np.random.default_rng(0)
    found = [population(*planted(rng, 60, 0.5, np.full(60, 2.0))) for _ in range(40)]
    assert np.mean([one.mean for one in found]) == pytest.approx(3, abs=0.05)
    assert np.mean([one.between for one in found]) == pytest.approx(0.5, rel=0.1)
    assert np.mean([one.within for one in found]) == pytest.approx(2.0, rel=0.05)
    assert np.median([one.within_clips for one in found]) > 100


def test_how_much_variances_differ_is_found() -> None:
    """Inverse chi-square variances with 8 degrees of freedom, 300 actors."""
    rng = np.random.default_rng(1)
    within = 2.0 * 8 / rng.chisquare(8, size=300)
    found = population(*planted(rng, 300, 0.5, within))
    assert found.within_clips[0] == pytest.approx(8, rel=0.35)
    assert found.within[0] == pytest.approx(2.0, rel=0.1)


def test_actors_who_do_not_differ_have_no_variance_between_them() -> None:
    rng = np.random.default_rng(2)
    found = [population(*planted(rng, 40, 0.0, np.full(40, 1.0))).between[0] for _ in range(40)]
    assert min(found) == 0 and max(found) < 0.05


def test_habits_are_the_best_linear_prediction() -> None:
    """The mean of a normal posterior, by conditioning the joint normal distribution of habit and clips."""
    rng = np.random.default_rng(3)
    known = Population(np.array([3.0]), np.array([0.5]), np.array([2.0]), np.array([np.inf]))
    for count in (1, 2, 7):
        clips = rng.normal(size=(count, 1)) + 4
        covariance = 2.0 * np.eye(count) + 0.5
        expected = 3 + np.full(count, 0.5) @ np.linalg.solve(covariance, clips[:, 0] - 3)
        mean, spread = known.habits(clips)
        assert mean[0] == pytest.approx(expected) and spread[0] == pytest.approx(np.sqrt(2))


def test_spread_is_weighed_by_degrees_of_freedom() -> None:
    known = Population(np.zeros(1), np.ones(1), np.array([2.0]), np.array([6.0]))
    clips = np.array([[1.0], [5.0], [3.0]])
    assert known.habits(clips)[1][0] ** 2 == pytest.approx((6 * 2.0 + 2 * 4.0) / 8)
    assert known.habits(clips[:1])[1][0] ** 2 == pytest.approx(2.0)
    mean, spread = replace(known, mean=np.array([9.0])).habits(clips[:0])
    assert (mean[0], spread[0]) == (9.0, pytest.approx(np.sqrt(2)))


@pytest.mark.parametrize("actors", [[0], [0, 0, 0], [0, 1, 2], [0, 0, 1]])
def test_few_clips_and_few_actors_give_numbers(actors: list[int]) -> None:
    values = np.arange(2.0 * len(actors)).reshape(len(actors), 2) ** 2
    found = population(values, np.array(actors))
    assert np.isfinite([found.mean, found.between, found.within]).all()
    assert (found.between >= 0).all() and (found.within >= 0).all() and (found.within_clips > 0).all()
    assert np.isfinite(np.stack(found.habits(values[:1]))).all()


def test_a_score_that_never_varies_has_no_spread() -> None:
    found = population(np.full((9, 1), 0.1), np.repeat(np.arange(3), 3))
    assert found.within[0] == 0 and found.habits(np.full((2, 1), 0.1)) == (pytest.approx(0.1), 0.0)
