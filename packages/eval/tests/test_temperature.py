"""Temperature scaling finds the temperature that was planted."""

import numpy as np
import pytest

from blended.eval.temperature import fit_temperature, heated


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.0])
def test_the_planted_temperature_is_found(planted: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = heated(right, 1 / planted)
    assert fit_temperature(given, right) == pytest.approx(planted, rel=0.02)
    np.testing.assert_allclose(heated(given, planted), right, atol=1e-9)


def test_it_lowers_the_loss_on_sampled_labels() -> None:
    rng = np.random.default_rng(1)
    right = rng.dirichlet(np.ones(4), size=3000)
    labels = np.array([rng.multinomial(1, p) for p in right], dtype=float)
    sure = heated(right, 0.4)
    better = heated(sure, fit_temperature(sure, labels))
    assert -(labels * np.log(better)).sum() < -(labels * np.log(sure + 1e-12)).sum() - 100


def test_order_and_sum_are_kept_and_zeros_are_finite() -> None:
    p = np.array([[0.0, 0.7, 0.3]])
    hot = heated(p, 2.0)
    assert hot.sum() == pytest.approx(1) and (hot.argsort() == p.argsort()).all() and np.isfinite(hot).all()
