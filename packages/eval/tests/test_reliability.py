"""Calibration error against scikit-learn's bins and a plain loop."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from blended.data import InputError
from blended.eval.measures.agreement import classwise_error, confidence, reliability


def drawn(seed: int, num_clips: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), size=num_clips)
    return probabilities, np.array([rng.multinomial(1, p) for p in probabilities], dtype=float)


def test_bins_are_those_of_scikit_learn() -> None:
    p, t = drawn(0)
    found = reliability(p[:, 0], t[:, 0], num_bins=10)
    frequency, mean = calibration_curve(t[:, 0], p[:, 0], n_bins=10, strategy="uniform")
    np.testing.assert_allclose(found.said, mean)
    np.testing.assert_allclose(found.found, frequency)
    assert found.counts.sum() == 500


def test_errors_are_those_of_plain_loops() -> None:
    p, t = drawn(1, 80)
    errors: list[float] = []
    for k in range(4):
        error = 0.0
        for b in range(15):
            rows = [i for i in range(80) if b / 15 <= p[i, k] < (b + 1) / 15]
            error += abs(sum(p[i, k] - t[i, k] for i in rows)) / 80
        errors.append(error)
    assert classwise_error(p, t) == pytest.approx(sum(errors) / 4)
    assert reliability(p[:, 0], t[:, 0]).error == pytest.approx(errors[0])


def test_honest_probabilities_have_a_small_error_and_sure_ones_a_large_one() -> None:
    p, t = drawn(2, 20_000)
    sure = p**4 / (p**4).sum(axis=1, keepdims=True)
    assert confidence(p, t).error < 0.02 < 0.1 < confidence(sure, t).error
    assert classwise_error(p, t) < 0.01 < 0.05 < classwise_error(sure, t)


def test_shares_are_targets_too() -> None:
    shares = np.array([[0.7, 0.3], [0.5, 0.5]])
    assert classwise_error(shares, shares) == pytest.approx(0)
    assert confidence(shares, shares).error == pytest.approx(0)


def test_certainty_belongs_to_the_last_bin() -> None:
    assert reliability(np.array([1.0, 0.99]), np.array([1.0, 1.0])).counts.tolist() == [2]


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="calibration error of no clips"):
        reliability(np.zeros(0), np.zeros(0))
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got -1 to 2"):
        reliability(np.array([-1.0, 2.0]), np.array([1.0, 1.0]))
