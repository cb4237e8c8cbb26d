"""Intervals over actors against plain loops, textbook t-tests, and known truths."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray
from scipy import stats

from blended.eval.estimate import Estimate
from blended.eval.intervals import mean_of, quantile, ratio, spread, two_sided_p
from blended.eval.measures.blends import Correctness, score_spread


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


def all_blends(right: list[list[bool]], fold_of: list[int]) -> tuple[Correctness, ndarray, ndarray]:
    """A list per actor: presence and salience are alike, so score is both."""
    flat = np.array([one for clips in right for one in clips])
    actors = np.repeat(np.arange(len(right)), [len(clips) for clips in right])
    return Correctness(flat, flat, np.ones_like(flat)), actors, np.array(fold_of)[actors]


def plain(right: ndarray, counted: ndarray, actors: ndarray, folds: ndarray) -> tuple[float, list[float]]:
    """Mean over folds of the share that is right, and of every actor: share of the fold's clips times how far
    the actor is from the middle of the folds, enlarged by what of the middle is the actor's own."""
    numbers = sorted(set(folds.tolist()))
    of_fold = {f: right[(folds == f) & counted].mean() for f in numbers if counted[folds == f].any()}
    middle = sum(of_fold.values()) / len(of_fold)
    parts = []
    for actor in sorted(set(actors.tolist())):
        own = (actors == actor) & counted
        if not own.any():
            parts.append(0.0)
            continue
        share = own.sum() / ((folds == folds[own][0]) & counted).sum()
        far = right[own].mean() - middle
        parts.append(share * far / math.sqrt(1 - share / len(of_fold)) / len(numbers))
    return sum(of_fold.values()) / len(numbers), parts


@pytest.mark.parametrize("actors_per_fold", [(4, 3, 5), (1, 1, 1, 1), (6,), (1, 4, 2)])
def test_every_actors_part_is_that_of_a_plain_loop(actors_per_fold: tuple[int, ...]) -> None:
    compared, actors, folds = toy(1, actors_per_fold)
    found = score_spread(compared, actors, folds)
    everything = np.ones_like(compared.is_blend)
    for column, (right, counted) in enumerate(
        [(compared.presence, everything), (compared.salience, compared.is_blend)]
    ):
        value, parts = plain(right, counted, actors, folds)
        assert found.values[column] == pytest.approx(value, abs=1e-12)
        np.testing.assert_allclose(found.parts[:, column], parts, atol=1e-12)
    np.testing.assert_allclose(found.values[2], found.values[:2].mean(), atol=1e-15)
    np.testing.assert_allclose(found.parts[:, 2], found.parts[:, :2].mean(axis=1), atol=1e-15)


def test_the_ends_are_students_on_the_logistic_scale() -> None:
    compared, actors, folds = toy(3, (5, 5))
    found = score_spread(compared, actors, folds)
    value, parts = plain(compared.presence, np.ones_like(compared.is_blend), actors, folds)
    weights = np.array([(actors == a).sum() / (folds == folds[actors == a][0]).sum() / 2 for a in range(10)])
    equal = 1 / (weights**2).sum()
    reach = stats.t.ppf(0.975, equal * 0.9) * math.sqrt(sum(part**2 for part in parts))
    centre, reach = math.log(value / (1 - value)), reach / value / (1 - value)
    expected = [1 / (1 + math.exp(-end)) for end in (centre - reach, centre + reach)]
    assert found.estimates[0].ends == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("freedom", [1.0, 1.4, 2.0, 7.3, 46.0, 500.0])
def test_students_t_is_scipys(freedom: float) -> None:
    assert quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-8)
    for t in (0.0, 0.3, -1.0, 2.6, 12.0):
        assert two_sided_p(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-9)


@pytest.mark.parametrize("fold_of", [[0] * 8, list(range(8)), [0, 0, 1, 1, 2, 2, 3, 3]])
def test_equal_actors_are_compared_by_the_paired_t_test(fold_of: list[int]) -> None:
    """In one fold, left out one by one, or two a fold: the same people and answers, the same p-value."""
    rng = np.random.default_rng(5)
    one, other = ((rng.random((8, 20)) < chance).tolist() for chance in (0.6, 0.45))
    spreads = [score_spread(*all_blends(right, fold_of)) for right in (one, other)]
    gap = spreads[0].minus(spreads[1])
    textbook = stats.ttest_rel(np.mean(one, axis=1), np.mean(other, axis=1))
    assert gap.p_values[0] == pytest.approx(textbook.pvalue)
    assert gap.estimates[0].ends == pytest.approx(list(textbook.confidence_interval()))


def test_the_value_is_the_unweighted_mean_over_folds() -> None:
    compared, actors, folds = toy(2, (3, 4))
    presence = [compared.presence[folds == fold].mean() for fold in (0, 1)]
    salience = [
        compared.salience[folds == fold].sum() / compared.is_blend[folds == fold].sum() for fold in (0, 1)
    ]
    of_presence, of_salience, score = score_spread(compared, actors, folds).estimates
    assert of_presence.value == pytest.approx(np.mean(presence), abs=1e-12)
    assert of_salience.value == pytest.approx(np.mean(salience), abs=1e-12)
    assert score.value == pytest.approx((np.mean(presence) + np.mean(salience)) / 2, abs=1e-12)


def test_a_fold_without_blends_counts_as_zero_salience() -> None:
    """It stays zero whoever is seen, so the others' spread is all there is."""
    right = [[True, True, False], [True, False, False], [True, True, True], [False, False, False]]
    compared, actors, folds = all_blends(right, [0, 0, 1, 1])
    blend = folds == 0
    found = score_spread(Correctness(compared.presence, compared.salience & blend, blend), actors, folds)
    alone = score_spread(*all_blends(right[:2], [0, 0]))
    assert found.values[1] == pytest.approx(0.25)
    np.testing.assert_allclose(found.parts[:2, 1], alone.parts[:, 1] / 2)
    assert found.parts[2:, 1].tolist() == [0, 0] and found.counts.tolist() == [4, 2, 4]


def test_one_actor_in_all_has_no_interval() -> None:
    compared, actors, folds = toy(4, (1,))
    found = score_spread(compared, actors, folds)
    assert [one.ends for one in found.estimates] == [None] * 3
    assert found.minus(score_spread(compared, actors, folds)).p_values == (1.0, 1.0, 1.0)
    assert str(found.estimates[0]).endswith(" (no interval)")
    assert found.basis.sentence == "no intervals: one actor says nothing about others"


def test_a_measure_that_is_no_number_has_no_interval_and_tells_nothing_apart() -> None:
    """As of a correlation with what never changes; before, its interval was [0, 0] and its p 0."""
    compared, actors, folds = toy(4, (3, 4))
    found = score_spread(compared, actors, folds)
    broken = replace(found, values=np.array([np.nan, *found.values[1:]]))
    assert broken.estimates[0].ends is None and broken.estimates[1:] == found.estimates[1:]
    assert broken.minus(found).p_values == (1.0, *found.minus(found).p_values[1:])
    assert replace(found, parts=np.full_like(found.parts, np.nan)).estimates[0].ends is None


def test_blends_of_one_actor_have_no_interval_beside_measures_that_do() -> None:
    compared, actors, folds = toy(4, (1, 1, 1))
    blends = compared.is_blend & (actors == 1)
    found = score_spread(Correctness(compared.presence, compared.salience & blends, blends), actors, folds)
    assert found.estimates[0].ends and found.estimates[1].ends is None


@pytest.mark.parametrize("num_actors", [2, 5, 12, 47])
def test_actors_who_are_all_alike_are_no_certainty(num_actors: int) -> None:
    """With 95 of 100 samples less alike, were more people unlike them: the rule of three."""
    found = score_spread(*all_blends([[True] * 4] * num_actors, list(range(num_actors))))
    low, high = found.estimates[0].ends or (0, 0)
    assert high == 1 and low**num_actors == pytest.approx(0.05)
    beaten = score_spread(*all_blends([[False] * 4] * num_actors, list(range(num_actors))))
    gap = found.minus(beaten)
    assert gap.p_values[0] == pytest.approx(0.5**num_actors), "the sign test, one-sided"
    assert ((gap.estimates[0].low or 0) > 0) == (gap.p_values[0] < 0.05)


def test_few_who_agree_by_chance_are_told_apart_by_nothing() -> None:
    """Three people, each with one clip of ten more: no spread, and yet no news."""
    one = [[True] * 6 + [False] * 4] * 3
    other = [[True] * 5 + [False] * 5] * 3
    gap = score_spread(*all_blends(one, [0, 1, 2])).minus(score_spread(*all_blends(other, [0, 1, 2])))
    low, high = gap.estimates[0].ends or (1, 1)
    assert low < -0.3 and high > 0.5 and gap.p_values[0] > 0.7


def test_clips_of_one_actor_are_not_independent() -> None:
    """Ten copies of every clip add no information, so the interval must not shrink."""
    compared, actors, folds = toy(6, (8, 8))
    copied = Correctness(
        *(np.tile(part, 10) for part in (compared.presence, compared.salience, compared.is_blend))
    )
    once = score_spread(compared, actors, folds).estimates[2]
    tenfold = score_spread(copied, np.tile(actors, 10), np.tile(folds, 10)).estimates[2]
    assert tenfold.ends == pytest.approx(once.ends, abs=1e-12)


@pytest.mark.parametrize("layout", [(10, 10, 9, 9, 9), (4,) * 5, (1,) * 12])
def test_intervals_cover_the_population_value(layout: tuple[int, ...]) -> None:
    """Actors with their own accuracies around 0.35, and unequal clips; `benchmarks/intervals.py` has more."""
    rng = np.random.default_rng(8)
    num_actors, fold_of = sum(layout), np.repeat(np.arange(len(layout)), layout).tolist()
    covered = apart = 0
    for _ in range(400):
        chance = rng.beta(3.5, 6.5, size=num_actors)
        people = [*zip(rng.integers(5, 40, size=num_actors).tolist(), chance.tolist(), strict=True)]
        systems = [
            score_spread(*all_blends([(rng.random(n) < p).tolist() for n, p in people], fold_of))
            for _ in range(2)
        ]
        low, high = systems[0].estimates[0].ends or (1, 1)
        covered += low <= 0.35 <= high
        apart += systems[0].minus(systems[1]).p_values[0] < 0.05
    # Three standard deviations of 400 draws of 95 and of 5 in 100.
    assert 0.915 <= covered / 400 <= 0.985
    assert 0.015 <= apart / 400 <= 0.085


def test_what_one_actor_alone_shows_is_unknown_and_not_certain() -> None:
    """Half of the measure is of clips that only the first actor has: as wide as can be, not as narrow."""
    actors = np.array([0, 0, 1, 1, 2, 2])
    counted = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [1, 0], [1, 0]], dtype=float)
    right = counted * np.array([1, 1, 1, 0, 0, 1])[:, None]
    terms, half = np.stack([right, counted], axis=-1), np.full((2, 1), 0.5)
    found = spread(terms, counted, actors, np.zeros(6, dtype=int), ratio, lambda _: half)
    assert found.unknown == pytest.approx(0.25)
    assert found.errors[0] == pytest.approx(math.hypot(0.25, np.linalg.norm(found.parts)))


def test_paired_difference_of_a_system_with_itself_is_zero() -> None:
    compared, actors, folds = toy(9, (5, 5))
    one = score_spread(compared, actors, folds)
    gap = one.minus(one)
    assert gap.values.tolist() == [0, 0, 0] and gap.p_values == (1.0, 1.0, 1.0)


def test_a_uniform_improvement_is_seen() -> None:
    """A system that is right wherever the other is, and more often for everyone."""
    compared, actors, folds = toy(10, (6, 6))
    better = Correctness(np.ones_like(compared.presence), compared.is_blend, compared.is_blend)
    first, second = (score_spread(one, actors, folds) for one in (better, compared))
    gap = first.minus(second).estimates[2]
    assert gap.ends and gap.ends[0] > 0


def test_the_mean_of_seeds_is_that_of_their_actors() -> None:
    """Luck that differs from actor to actor is averaged away; what actors have in common stays."""
    rng = np.random.default_rng(11)
    seeds = [(rng.random((9, 30)) < 0.5).tolist() for _ in range(4)]
    spreads = [score_spread(*all_blends(right, [0, 1, 2] * 3)) for right in seeds]
    pooled = [[one for clips in four for one in clips] for four in zip(*seeds, strict=True)]
    together = score_spread(*all_blends(pooled, [0, 1, 2] * 3))
    mean = mean_of(spreads)
    np.testing.assert_allclose(mean.values, together.values)
    np.testing.assert_allclose(mean.parts, together.parts, atol=1e-15)
    assert mean.estimates[0].ends == pytest.approx(together.estimates[0].ends)


def test_an_estimate_says_whether_it_has_an_interval() -> None:
    assert (Estimate(0.5, 0.4, 0.6).ends, Estimate(0.5, None, None).ends) == ((0.4, 0.6), None)
    assert Estimate(0.5, None, None).span == (0.5, 0.5)
