"""The actor bootstrap against a plain loop over the same draws, and against known truths."""

import numpy as np
import pytest
from numpy import ndarray

from blended.eval.intervals import actor_bootstrap, difference, resample
from blended.eval.metrics import Correctness


def toy(seed: int, actors_per_fold: tuple[int, ...]) -> tuple[Correctness, ndarray, ndarray]:
    """Clips of uneven actors with actor-dependent correctness."""
    rng = np.random.default_rng(seed)
    actors, folds, chance = [], [], []
    for fold, num_actors in enumerate(actors_per_fold):
        for _ in range(num_actors):
            num_clips = int(rng.integers(3, 12))
            actors += [len(set(actors))] * num_clips
            folds += [fold] * num_clips
            chance += [rng.uniform(0.1, 0.6)] * num_clips
    is_blend = rng.random(len(actors)) < 0.5
    presence = rng.random(len(actors)) < chance
    salience = is_blend & presence & (rng.random(len(actors)) < 0.5)
    return Correctness(presence, salience, is_blend), np.array(actors), np.array(folds)


def share(right: list[bool]) -> float:
    return sum(right) / len(right) if right else 0.0


def plain_resamples(
    compared: Correctness, actors: ndarray, folds: ndarray, seed: int, num_resamples: int
) -> ndarray:
    """Draws as many actors as a fold has, repeats their clips, averages; no matrices."""
    rng = np.random.default_rng(seed)
    fold_numbers = sorted(set(folds.tolist()))
    draws = {
        fold: rng.multinomial(n := len(set(actors[folds == fold].tolist())), [1 / n] * n, size=num_resamples)
        for fold in fold_numbers
    }
    table: list[list[float]] = []
    for number in range(num_resamples):
        presence, salience = [], []
        for fold in fold_numbers:
            clips: list[int] = []
            for actor, times in zip(
                sorted(set(actors[folds == fold].tolist())), draws[fold][number], strict=True
            ):
                clips += np.flatnonzero((folds == fold) & (actors == actor)).tolist() * int(times)
            presence.append(share([bool(compared.presence[clip]) for clip in clips]))
            salience.append(
                share([bool(compared.salience[clip]) for clip in clips if compared.is_blend[clip]])
            )
        row = [sum(presence) / len(presence), sum(salience) / len(salience)]
        table.append([*row, sum(row) / 2])
    return np.array(table)


@pytest.mark.parametrize("actors_per_fold", [(4, 3, 5), (1, 1), (6,)])
def test_resamples_agree_with_a_plain_loop(actors_per_fold: tuple[int, ...]) -> None:
    compared, actors, folds = toy(1, actors_per_fold)
    ours = resample(compared, actors, folds, seed=7, num_resamples=25)
    np.testing.assert_allclose(ours, plain_resamples(compared, actors, folds, 7, 25), atol=1e-12)


def test_the_value_is_the_unweighted_mean_over_folds() -> None:
    compared, actors, folds = toy(2, (3, 4))
    presence = [compared.presence[folds == fold].mean() for fold in (0, 1)]
    salience = [
        compared.salience[folds == fold].sum() / compared.is_blend[folds == fold].sum() for fold in (0, 1)
    ]
    estimates = actor_bootstrap(compared, actors, folds, seed=0, num_resamples=100)
    assert estimates.presence.value == pytest.approx(np.mean(presence), abs=1e-12)
    assert estimates.salience.value == pytest.approx(np.mean(salience), abs=1e-12)
    assert estimates.score.value == pytest.approx((np.mean(presence) + np.mean(salience)) / 2, abs=1e-12)


def test_the_bounds_are_percentiles_of_the_resamples() -> None:
    compared, actors, folds = toy(3, (5, 5))
    samples = plain_resamples(compared, actors, folds, 11, 60)
    estimates = actor_bootstrap(compared, actors, folds, seed=11, num_resamples=60)
    for column, estimate in enumerate((estimates.presence, estimates.salience, estimates.score)):
        assert [estimate.low, estimate.high] == pytest.approx(np.percentile(samples[:, column], [2.5, 97.5]))
        assert estimate.low <= estimate.value <= estimate.high


def test_a_fold_without_blends_counts_as_zero_salience() -> None:
    compared = Correctness(
        presence=np.ones(4, dtype=bool),
        salience=np.array([True, True, False, False]),
        is_blend=np.array([True, True, False, False]),
    )
    estimates = actor_bootstrap(
        compared, np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1]), seed=0, num_resamples=50
    )
    assert (estimates.salience.value, estimates.salience.low, estimates.salience.high) == (0.5, 0.5, 0.5)


def test_one_actor_per_fold_leaves_nothing_to_resample() -> None:
    compared, actors, folds = toy(4, (1, 1, 1))
    estimate = actor_bootstrap(compared, actors, folds, seed=0, num_resamples=50).presence
    assert estimate.low == pytest.approx(estimate.value)
    assert estimate.high == pytest.approx(estimate.value)


def test_the_seed_fixes_the_interval() -> None:
    compared, actors, folds = toy(5, (6, 6))
    first, again, other = (
        actor_bootstrap(compared, actors, folds, seed=seed, num_resamples=200) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_clips_of_one_actor_are_not_independent() -> None:
    """Ten copies of every clip add no information, so the interval must not shrink."""
    compared, actors, folds = toy(6, (8, 8))
    copied = Correctness(
        *(np.tile(part, 10) for part in (compared.presence, compared.salience, compared.is_blend))
    )
    once = actor_bootstrap(compared, actors, folds, seed=0, num_resamples=300)
    tenfold = actor_bootstrap(copied, np.tile(actors, 10), np.tile(folds, 10), seed=0, num_resamples=300)
    assert tenfold.score.low == pytest.approx(once.score.low, abs=1e-12)
    assert tenfold.score.high == pytest.approx(once.score.high, abs=1e-12)


def test_intervals_cover_the_population_value() -> None:
    """Actors with their own accuracies around 0.35: about 93 of 100 intervals of 10 actors a fold hold it.

    The percentile interval of so few actors is a little narrow, so the bounds allow for that.
    """
    rng = np.random.default_rng(8)
    actors, folds = np.repeat(np.arange(50), 20), np.repeat(np.arange(5), 200)
    covered = 0
    for trial in range(200):
        chance = np.repeat(rng.beta(3.5, 6.5, size=50), 20)
        presence = rng.random(1000) < chance
        compared = Correctness(presence, presence, np.ones(1000, dtype=bool))
        estimate = actor_bootstrap(compared, actors, folds, seed=trial, num_resamples=400).presence
        covered += estimate.low <= 0.35 <= estimate.high
    assert 0.88 <= covered / 200 <= 0.99


def test_paired_difference_of_a_system_with_itself_is_zero() -> None:
    compared, actors, folds = toy(9, (5, 5))
    samples = resample(compared, actors, folds, seed=0, num_resamples=80)[:, 2].tolist()
    gap = difference(samples, samples)
    assert (gap.value, gap.low, gap.high) == (0.0, 0.0, 0.0)


def test_paired_draws_see_a_uniform_improvement_as_certain() -> None:
    """A system that is right wherever the other is, and more often for everyone, is better in every draw."""
    compared, actors, folds = toy(10, (6, 6))
    better = Correctness(np.ones_like(compared.presence), compared.is_blend, compared.is_blend)
    first, second = (
        resample(one, actors, folds, seed=0, num_resamples=80)[:, 2].tolist() for one in (better, compared)
    )
    assert difference(first, second).low > 0
