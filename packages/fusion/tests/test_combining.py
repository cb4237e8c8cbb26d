"""Late fusion's weights against scikit-learn and plain search, on what was planted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from blended.fusion.combining import STACKING_PENALTY, fit_combiner, read_combiner

EMOTIONS = 3
KINDS = ["learned", "equal", "stacking"]


def planted(num_clips: int = 80, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    """Three encoders: one knows, one knows less, one guesses."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, EMOTIONS, num_clips)
    truth = np.eye(EMOTIONS)[labels]
    predicted = []
    for knows in (2.0, 1.0, 0.0):
        scores = knows * truth + rng.normal(size=truth.shape)
        predicted.append(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    return np.stack(predicted), torch.tensor(truth)


def everywhere(predicted: np.ndarray) -> np.ndarray:
    return np.ones(predicted.shape[:2], dtype=bool)


def kl(p: np.ndarray, truth: torch.Tensor) -> float:
    return float(-(truth.numpy() * np.log(p.clip(1e-12))).sum(axis=1).mean())


def test_learned_weights_are_those_of_a_plain_search() -> None:
    predicted, truth = planted()
    combiner = fit_combiner("learned", None, predicted, everywhere(predicted), truth, "mixture")
    found = minimize(
        lambda w: kl(np.einsum("e,ecx->cx", w, predicted), truth),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )
    np.testing.assert_allclose(combiner.weights, found.x, atol=5e-3)
    assert combiner.weights[0] > combiner.weights[1] > combiner.weights[2]
    assert combiner.weights.sum() == pytest.approx(1)


def test_stacking_is_a_penalised_multinomial_model_by_scipy() -> None:
    predicted, truth = planted()
    logs = np.log(predicted)
    start = np.tile(np.eye(EMOTIONS) / 3, (3, 1, 1))

    def loss(free: np.ndarray) -> float:
        weight, bias = free[:27].reshape(3, 3, 3), free[27:]
        scores = np.einsum("ecx,exy->cy", logs, weight) + bias
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return kl(p, truth) + STACKING_PENALTY * (((weight - start) ** 2).sum() + (bias**2).sum())

    found = minimize(loss, np.concatenate([start.ravel(), np.zeros(3)]), method="L-BFGS-B")
    combiner = fit_combiner("stacking", None, predicted, everywhere(predicted), truth, "mixture")
    np.testing.assert_allclose(combiner.stacked["weight"].numpy().ravel(), found.x[:27], atol=5e-3)
    np.testing.assert_allclose(combiner.stacked["bias"].numpy(), found.x[27:], atol=5e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top", [1, 2])
def test_the_best_encoders_are_kept(kind: str, top: int) -> None:
    predicted, truth = planted()
    order = [2, 0, 1]
    mixed = predicted[order]
    combiner = fit_combiner(kind, top, mixed, everywhere(mixed), truth, "mixture")
    kept = {place for place, encoder in enumerate(order) if encoder < top}
    assert {*np.flatnonzero(combiner.weights).tolist()} == kept
    combined = combiner(mixed, everywhere(mixed))
    spoilt = np.where(np.isin(np.arange(3), [*kept])[:, None, None], mixed, 1 / EMOTIONS)
    np.testing.assert_allclose(combined, combiner(spoilt, everywhere(mixed)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_combiner_comes_back_from_its_state(kind: str) -> None:
    predicted, truth = planted()
    combiner = fit_combiner(kind, None, predicted, everywhere(predicted), truth, "mixture")
    state = {name: value.clone() for name, value in combiner.state.items()}
    again = read_combiner(kind, "mixture", state)
    np.testing.assert_array_equal(
        combiner(predicted, everywhere(predicted)), again(predicted, everywhere(predicted))
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=3, max_size=3), st.sampled_from(KINDS))
def test_missing_encoders_say_nothing_and_what_is_left_is_a_distribution(has: list[bool], kind: str) -> None:
    predicted, truth = planted()
    combiner = fit_combiner(kind, None, predicted, everywhere(predicted), truth, "mixture")
    present = np.tile(np.array(has)[:, None], (1, predicted.shape[1]))
    combined = combiner(predicted, present)
    np.testing.assert_allclose(combined.sum(axis=1), 1, atol=1e-9)
    if any(has):
        spoilt = np.where(present[..., None], predicted, np.roll(predicted, 1, axis=2))
        np.testing.assert_allclose(combined, combiner(spoilt, present))


def test_an_encoder_of_weight_zero_answers_when_it_is_alone() -> None:
    predicted, truth = planted()
    combiner = fit_combiner("equal", 1, predicted, everywhere(predicted), truth, "mixture")
    only_the_last = np.zeros(predicted.shape[:2], dtype=bool)
    only_the_last[2] = True
    np.testing.assert_allclose(combiner(predicted, only_the_last), predicted[2])


def test_it_is_fitted_on_clips_that_have_every_encoder() -> None:
    predicted, truth = planted()
    present = everywhere(predicted)
    present[1, 50:] = False
    spoilt = predicted.copy()
    spoilt[:, 50:] = np.roll(spoilt[:, 50:], 1, axis=2)
    ours, theirs = (fit_combiner("learned", None, p, present, truth, "mixture") for p in (predicted, spoilt))
    np.testing.assert_array_equal(ours.weights, theirs.weights)


def test_weights_of_intensities_minimise_the_squared_error() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((100, EMOTIONS))
    predicted = np.stack([truth + 0.1 * rng.normal(size=truth.shape), rng.random(truth.shape)])
    combiner = fit_combiner(
        "learned", None, predicted, everywhere(predicted), torch.tensor(truth), "intensities"
    )
    difference = predicted[0] - predicted[1]
    best = float((difference * (truth - predicted[1])).sum() / (difference**2).sum())
    assert combiner.weights[0] == pytest.approx(best, abs=1e-3)
    stacked = fit_combiner(
        "stacking", None, predicted, everywhere(predicted), torch.tensor(truth), "intensities"
    )
    combined = stacked(predicted, everywhere(predicted))
    assert ((combined - truth) ** 2).mean() < ((predicted[0] - truth) ** 2).mean()
