"""Correlations, distances and recalls against scipy, scikit-learn and plain loops."""

import time
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import pearsonr
from sklearn.metrics import balanced_accuracy_score, recall_score

from blended.data import InputError, Mixture
from blended.eval.measures import agreement, measures_of, recall, spread_of

UAR_WAR = measures_of("single")


def values(seed: int, num_clips: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.random((num_clips, 4))
    return (true + rng.normal(size=true.shape) * (0.1, 0.5, 2, 9)).clip(0, 1), true


def test_pearson_is_scipys() -> None:
    predicted, true = values(0)
    expected: list[Any] = [pearsonr(predicted[:, k], true[:, k])[0] for k in range(4)]
    np.testing.assert_allclose(agreement.pearson(predicted, true), expected)
    assert agreement.mean_pearson(predicted, true) == pytest.approx(np.mean(expected))


def test_concordance_is_lins_formula_with_a_correlation() -> None:
    """rho_c = 2 rho s_x s_y / (s_x^2 + s_y^2 + (m_x - m_y)^2)."""
    predicted, true = values(1)
    expected: list[float] = []
    for x, y in zip(predicted.T, true.T, strict=True):
        covariance = 2 * np.corrcoef(x, y)[0, 1] * x.std() * y.std()
        expected.append(covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))
    np.testing.assert_allclose(agreement.concordance(predicted, true), expected)
    assert agreement.mean_concordance(predicted, true) == pytest.approx(np.mean(expected))


def test_concordance_falls_with_a_shift_and_pearson_does_not() -> None:
    _, true = values(2)
    assert agreement.mean_pearson(true + 1, true) == pytest.approx(1)
    assert agreement.mean_concordance(true + 1, true) < 0.2


def test_a_constant_that_rounds_correlates_with_nothing() -> None:
    constant = np.full((3, 1), 0.1)
    varied = np.array([[0.0], [0.5], [1.0]])
    assert agreement.mean_pearson(constant, varied) == agreement.mean_concordance(constant, varied) == 0
    assert agreement.mean_concordance(constant, constant) == 0


def test_the_earth_movers_distance_is_the_cheapest_transport() -> None:
    rng = np.random.default_rng(3)
    predicted, true = rng.dirichlet(np.ones(5), size=6), rng.dirichlet(np.ones(5), size=6)
    cost = (1 - np.eye(5)).ravel()
    leaving, arriving = np.kron(np.eye(5), np.ones(5)), np.kron(np.ones(5), np.eye(5))
    expected = [
        linprog(cost, A_eq=np.vstack([leaving, arriving]), b_eq=np.concatenate([p, t])).fun
        for p, t in zip(predicted, true, strict=True)
    ]
    assert agreement.earth_movers_distance(predicted, true) == pytest.approx(np.mean(expected))


def singles(seed: int, num_clips: int = 240) -> tuple[list[Mixture], list[Mixture], np.ndarray, np.ndarray]:
    """Truth, decisions, actors, folds; uneven emotions, and an actor without two of them."""
    rng = np.random.default_rng(seed)
    names = np.array(["ang", "hap", "neu", "sad"])
    labels = rng.choice(4, size=num_clips, p=(0.5, 0.3, 0.15, 0.05))
    actors = np.arange(num_clips) % 8
    labels[actors == 0] %= 2
    decided = np.where(rng.random(num_clips) < 0.6, labels, rng.integers(0, 4, num_clips))
    truth, said = ([Mixture.single(str(name)) for name in names[numbers]] for numbers in (labels, decided))
    return truth, said, actors, actors % 2


def named(mixtures: list[Mixture]) -> list[str]:
    return [mixture.name for mixture in mixtures]


def test_recalls_are_scikit_learns() -> None:
    truth, decided, _, _ = singles(0)
    found = recall.recalls(truth, decided)
    assert found.unweighted == pytest.approx(balanced_accuracy_score(named(truth), named(decided)))
    assert found.weighted == pytest.approx(recall_score(named(truth), named(decided), average="weighted"))


def test_a_decided_blend_is_wrong() -> None:
    found = recall.recalls([Mixture.single("ang")], [Mixture({"ang": 50, "hap": 50})])
    assert found == recall.Recalls(0.0, 0.0)


def test_the_recall_of_every_actor_is_that_of_a_plain_loop() -> None:
    """Emotion by emotion: share of the fold's clips of it, times the distance from the folds' middle."""
    truth, decided, actors, folds = singles(1)
    found = spread_of(UAR_WAR, truth, decided, actors, folds)
    right = np.array([t == d for t, d in zip(truth, decided, strict=True)])
    names = np.array(named(truth))
    expected = np.zeros((8, 2))
    for emotion in (*sorted(set(names.tolist())), None):
        of_it = np.ones(len(names), dtype=bool) if emotion is None else names == emotion
        middle = np.mean([right[of_it & (folds == fold)].mean() for fold in (0, 1)])
        for actor in range(8):
            own = of_it & (actors == actor)
            share = own.sum() / (of_it & (folds == actor % 2)).sum()
            far = share * (right[own].mean() - middle) / np.sqrt(1 - share / 2) if own.any() else 0.0
            expected[actor, int(emotion is None)] += far / 2 / (4 if emotion else 1)
    np.testing.assert_allclose(found.parts, expected, atol=1e-12)
    halves = [
        recall.recalls(
            [truth[k] for k in np.flatnonzero(folds == fold)],
            [decided[k] for k in np.flatnonzero(folds == fold)],
        )
        for fold in (0, 1)
    ]
    assert found.values[0] == pytest.approx((halves[0].unweighted + halves[1].unweighted) / 2)
    assert found.values[1] == pytest.approx((halves[0].weighted + halves[1].weighted) / 2)


def test_the_interval_is_around_what_is_printed_where_few_show_an_emotion() -> None:
    """Twelve people, two of whom show the hard emotion: a sample without them is of another measure."""
    ang, sad = Mixture.single("ang"), Mixture.single("sad")
    truth = [ang] * 48 + [sad] * 8
    decided = [sad if k % 8 == 7 else ang for k in range(48)] + [sad, sad, ang, ang, ang, sad, ang, ang]
    actors = np.array([*np.repeat(np.arange(12), 4), 0, 0, 0, 0, 6, 6, 6, 6])
    for folds in (np.zeros(56, dtype=int), actors % 3, actors):
        found = spread_of(UAR_WAR, truth, decided, actors, folds).estimates[0]
        low, high = found.ends or (0, 0)
        assert low < found.value - 0.02 and high > found.value + 0.02
        assert 0.4 < (high - found.value) / (found.value - low) < 2.5


def test_left_out_one_by_one_with_an_actor_who_lacks_an_emotion() -> None:
    truth, decided, actors, _ = singles(2)
    found = spread_of(UAR_WAR, truth, decided, actors, actors)
    by_actor = [
        recall.recalls(
            [truth[k] for k in np.flatnonzero(actors == actor)],
            [decided[k] for k in np.flatnonzero(actors == actor)],
        ).unweighted
        for actor in range(8)
    ]
    assert found.values[0] == pytest.approx(np.mean(by_actor)), "each over the emotions of that actor"
    low, high = found.estimates[0].ends or (0, 0)
    assert low < found.values[0] < high
    # Where nobody lacks one, every actor is one number: the textbook's t.
    same = [k for k in range(240) if actors[k]]
    whole = spread_of(
        UAR_WAR, [truth[k] for k in same], [decided[k] for k in same], actors[same], actors[same]
    )
    if all(len({named(truth)[k] for k in same if actors[k] == a}) == 4 for a in range(1, 8)):
        assert whole.errors[0] == pytest.approx(np.std(by_actor[1:], ddof=1) / np.sqrt(7))


def test_ten_thousand_clips_take_under_half_a_second() -> None:
    truth, decided, actors, folds = singles(2, 10_000)
    start = time.process_time()
    assert spread_of(UAR_WAR, truth, decided, actors, folds).estimates
    assert time.process_time() - start < 0.5


def test_what_is_refused() -> None:
    ang, blend = Mixture.single("ang"), Mixture({"ang": 70, "hap": 30})
    with pytest.raises(InputError, match=r"1 true labels have two emotions, the first ang\+hap:70/30"):
        recall.recalls([blend], [ang])
    with pytest.raises(InputError, match="got 1 true and 0 decided labels"):
        recall.recalls([ang], [])
    with pytest.raises(InputError, match="recall of no clips"):
        recall.recalls([], [])
    with pytest.raises(InputError, match="at least two clips, got 1"):
        agreement.pearson(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(InputError, match="distance of no clips"):
        agreement.earth_movers_distance(np.zeros((0, 2)), np.zeros((0, 2)))
