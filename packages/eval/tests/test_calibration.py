"""Calibration: what it finds, what it must not see, and that it helps."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression

from blended.data import InputError, LabelSpace, Mixture
from blended.eval.calibration import (
    CALIBRATIONS,
    cross_fitted,
    fit_calibration,
    fit_temperature,
    heated,
    softmax,
)
from blended.eval.evidence import Evidence
from blended.eval.measures.agreement import classwise_error, confidence

SPACE = LabelSpace(("ang", "hap", "sad"), "single")
FITTED = [name for name in CALIBRATIONS if name != "raw"]
BIAS = np.array([0.0, 1.5, 0.0])


def overconfident(seed: int = 0, num_clips: int = 1200) -> tuple[Evidence, list[Mixture]]:
    """Two models: one three times too sure, one of the right confidence with a bias for one emotion."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num_clips, 3))
    labels = [rng.choice(3, p=p) for p in softmax(logits)]
    given = np.stack([3 * logits, logits + BIAS], axis=1)
    actors = np.arange(num_clips) % 12
    truth = [Mixture.single(SPACE.emotions[label]) for label in labels]
    return Evidence(given, actors, actors % 3, SPACE), truth


def targets(truth: list[Mixture]) -> np.ndarray:
    return np.array([SPACE.target(mixture) for mixture in truth])


@pytest.mark.parametrize("name", FITTED)
def test_labels_of_the_reported_fold_never_matter(name: str) -> None:
    evidence, truth = overconfident()
    held = evidence.folds == 1
    wrong = [Mixture.single("sad") if out else mixture for mixture, out in zip(truth, held, strict=True)]
    honest, blind = cross_fitted(name, evidence, truth), cross_fitted(name, evidence, wrong)
    np.testing.assert_array_equal(honest.logits[held], blind.logits[held])
    assert (honest.logits[~held] != blind.logits[~held]).any()


@pytest.mark.parametrize("name", FITTED)
def test_the_calibration_error_falls(name: str) -> None:
    evidence, truth = overconfident()
    after = cross_fitted(name, evidence, truth)
    for model in (0, 1) if name != "temperature" else (0,):
        p, q = evidence.probabilities()[:, model], after.probabilities()[:, model]
        assert classwise_error(q, targets(truth)) < 0.5 * classwise_error(p, targets(truth))
        assert confidence(q, targets(truth)).error < 0.07


def test_raw_is_the_evidence_itself() -> None:
    evidence, truth = overconfident()
    assert cross_fitted("raw", evidence, truth) is evidence
    assert fit_calibration("raw", evidence, truth)(evidence) is evidence


def test_a_model_is_mapped_without_regard_to_the_others() -> None:
    evidence, truth = overconfident()
    alone = replace(evidence, logits=evidence.logits[:, :1])
    for name in FITTED:
        both = cross_fitted(name, evidence, truth).logits
        np.testing.assert_array_equal(cross_fitted(name, alone, truth).logits[:, 0], both[:, 0])


def test_given_probabilities_do_not_survive() -> None:
    evidence, truth = overconfident()
    given = replace(evidence, given_probabilities=np.full(evidence.logits.shape, 1 / 3))
    assert cross_fitted("temperature", given, truth).given_probabilities is None


def test_the_planted_scale_and_shift_are_found() -> None:
    """The second model is right once its bias is taken off."""
    evidence, truth = overconfident(1, 6000)
    after = fit_calibration("vector", evidence, truth)(evidence).probabilities()
    right = softmax(evidence.logits[:, 1] - BIAS)
    np.testing.assert_allclose(after[:, 1], right, atol=0.06)


def test_two_classes_scaled_by_a_vector_are_a_logistic_regression() -> None:
    """Without the ridge the two optima are one: P(first) = sigmoid(a x + b y + c)."""
    rng = np.random.default_rng(2)
    space = LabelSpace(("ang", "hap"), "single")
    logits = rng.normal(size=(2000, 2))
    labels = rng.random(2000) < softmax(logits @ np.diag((2.0, 0.5)))[:, 0]
    actors = np.arange(2000) % 4
    evidence = Evidence(logits[:, None], actors, actors, space)
    truth = [Mixture.single("ang" if first else "hap") for first in labels]
    plain = LogisticRegression(C=1e6).fit(logits, labels)
    after = fit_calibration("vector", evidence, truth)(evidence).probabilities()[:, 0]
    np.testing.assert_allclose(after[:, 0], plain.predict_proba(logits)[:, 1], atol=0.01)


def test_isotonic_is_the_pooled_regression_of_every_emotion() -> None:
    evidence, truth = overconfident(3, 300)
    p = softmax(evidence.logits[:, 0])
    least = 1 / 302
    expected = np.empty_like(p)
    for k in range(3):
        order = np.argsort(p[:, k])
        expected[order, k] = isotonic_regression(targets(truth)[order, k], y_min=least, y_max=1 - least)
    after = fit_calibration("isotonic", evidence, truth)(evidence).probabilities()[:, 0]
    np.testing.assert_allclose(after, expected / expected.sum(axis=1, keepdims=True), atol=1e-9)


@pytest.mark.parametrize("name", FITTED)
def test_separable_clips_and_an_absent_emotion_stay_finite(name: str) -> None:
    logits = np.array([[9.0, -9.0, 0.0], [-9.0, 9.0, 0.0]] * 4)[:, None]
    evidence = Evidence(logits, np.arange(8), np.arange(8) % 2, SPACE)
    truth = [Mixture.single("ang"), Mixture.single("hap")] * 4
    found = fit_calibration(name, evidence, truth)(evidence)
    assert np.isfinite(found.logits).all()
    np.testing.assert_allclose(found.probabilities().sum(axis=-1), 1)
    assert [SPACE.emotions[k] for k in found.probabilities()[:2, 0].argmax(axis=1)] == ["ang", "hap"]


def test_what_is_refused() -> None:
    evidence, truth = overconfident(num_clips=12)
    with pytest.raises(InputError, match="unknown calibration 'isotonc': did you mean 'isotonic'"):
        fit_calibration("isotonc", evidence, truth)
    with pytest.raises(InputError, match="needs clips to be fitted on, got none"):
        fit_calibration("vector", evidence.take(np.zeros(12, dtype=bool)), [])
    one = replace(evidence, folds=np.zeros(12, dtype=np.int64))
    with pytest.raises(InputError, match=r"is fitted on other folds: got only \[0\]"):
        cross_fitted("vector", one, truth)


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
