"""Correlations, distances and recalls against scipy, scikit-learn and plain loops."""

import time
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import pearsonr
from sklearn.metrics import balanced_accuracy_score, recall_score

from blended.data import InputError, Mixture
from blended.eval import agreement, recall


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


def test_the_bootstrap_is_that_of_a_plain_loop() -> None:
    truth, decided, actors, folds = singles(1)
    found = recall.recall_bootstrap(truth, decided, actors, folds, seed=0, num_resamples=4000)
    rng = np.random.default_rng(9)
    plain: list[tuple[float, float]] = []
    for _ in range(400):
        per_fold: list[tuple[float, float]] = []
        for fold in (0, 1):
            drawn = rng.choice(np.unique(actors[folds == fold]), size=4)
            rows = np.concatenate([np.flatnonzero(actors == actor) for actor in drawn])
            one = recall.recalls([truth[row] for row in rows], [decided[row] for row in rows])
            per_fold.append((one.unweighted, one.weighted))
        plain.append(((per_fold[0][0] + per_fold[1][0]) / 2, (per_fold[0][1] + per_fold[1][1]) / 2))
    low, high = np.percentile(plain, [2.5, 97.5], axis=0)
    for number, estimate in enumerate((found.unweighted, found.weighted)):
        assert (estimate.low, estimate.high) == pytest.approx((low[number], high[number]), abs=0.02)
        assert estimate.low <= estimate.value <= estimate.high
    halves = [
        recall.recalls(
            [truth[k] for k in np.flatnonzero(folds == fold)],
            [decided[k] for k in np.flatnonzero(folds == fold)],
        )
        for fold in (0, 1)
    ]
    assert found.unweighted.value == pytest.approx((halves[0].unweighted + halves[1].unweighted) / 2)


def test_ten_thousand_resamples_take_under_a_second() -> None:
    truth, decided, actors, folds = singles(2, 2400)
    start = time.perf_counter()
    recall.recall_bootstrap(truth, decided, actors, folds, seed=0)
    assert time.perf_counter() - start < 1


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
