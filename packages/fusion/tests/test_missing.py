"""Clips without sound or picture, and what features turn out to be good for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.sources import Change
from blended.fusion.strategies import EarlyConfig, fit
from toys.problems import OF_FEATURES, QUIET, SINGLE_SPACE, toy_config, toy_inputs

CONFIG = TrainingConfig(learning_rate=0.1, weight_decay=0.01, max_epochs=4, batch_size=64)
WITHOUT_AUDIO = Change(without=frozenset({"audio"}))


def accuracy(predicted: np.ndarray, given: Inputs) -> float:
    return float((predicted.argmax(axis=1) == given.targets.numpy().argmax(axis=1)).mean())


def lacking(rows: slice | np.ndarray, *names: str) -> Inputs:
    mask = np.zeros(4 * 20 + 10, dtype=bool)
    mask[rows] = True
    return toy_inputs(per_fold=20, missing=dict.fromkeys(names, mask))


@pytest.mark.parametrize("name", OF_FEATURES)
def test_clips_without_sound_are_predicted(name: str) -> None:
    given = lacking(np.arange(0, 90, 3), "ear")
    fused = fit(toy_config(name, CONFIG), given, 0, QUIET)
    for values in (fused.out_of_fold, fused.inner, fused.test):
        assert (values >= 0).all()
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings"), [("late", {"weights": "stacking"}), *((name, {}) for name in OF_FEATURES)]
)
def test_a_modality_taken_away_is_one_that_was_never_there(name: str, settings: dict) -> None:
    """Whether the clips of fold 2 have sound changes nothing in the models that judge them."""
    config = toy_config(name, CONFIG, **settings)
    whole = fit(config, toy_inputs(per_fold=20), 0, QUIET)
    rows = np.arange(40, 60)
    lacks = fit(config, lacking(rows, "ear"), 0, QUIET)
    changed = whole.changed(WITHOUT_AUDIO)
    np.testing.assert_allclose(changed[rows], lacks.out_of_fold[rows], atol=1e-5)
    assert not np.allclose(changed, whole.out_of_fold, atol=0.05)
    np.testing.assert_allclose(whole.changed(Change()), whole.out_of_fold, atol=1e-6)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_a_clip_without_anything_still_gets_a_distribution(name: str) -> None:
    everything = Change(without=frozenset({"audio", "video"}))
    fused = fit(toy_config(name, CONFIG), toy_inputs(per_fold=20), 0, QUIET)
    nothing = fused.changed(everything)
    np.testing.assert_allclose(nothing.sum(axis=1), 1, atol=1e-6)
    for fold in range(4):
        rows = slice(20 * fold, 20 * fold + 20)
        np.testing.assert_allclose(nothing[rows], nothing[rows][:1].repeat(20, axis=0), atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"standardise": "actor"}, {"pca": {"components": 2}}])
@pytest.mark.parametrize("name", OF_FEATURES)
def test_what_is_missing_counts_as_average_whatever_the_average_is(name: str, settings: dict) -> None:
    """An encoder of mean 300 that 16 clips lack, beside another of its modality: filled with zeros before it
    was standardised, these clips were 300 spreads away, and its mean and spread were not its own."""
    gone = np.zeros(90, dtype=bool)
    gone[np.arange(0, 80, 5)] = True
    plain = toy_inputs(per_fold=20, missing={"nothing": gone})
    there = torch.from_numpy(~gone)[:, None]
    of_steps = plain.sequences["nothing"]
    moved = replace(
        plain,
        features={**plain.features, "nothing": plain.features["nothing"] + 300 * there},
        sequences={**plain.sequences, "nothing": replace(of_steps, values_FD=of_steps.values_FD + 300)},
    )
    config = toy_config(name, CONFIG, features=("ear", "eye", "nothing"), **settings)
    near, far = (fit(config, given, 0, QUIET).out_of_fold for given in (plain, moved))
    np.testing.assert_allclose(far, near, atol=0.02)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_shuffling_what_knows_costs_and_shuffling_noise_does_not(name: str) -> None:
    given = toy_inputs(space=SINGLE_SPACE, noise=0.5, per_fold=20)
    longer = CONFIG.model_copy(update={"max_epochs": 8})
    fused = fit(toy_config(name, longer, features=("ear", "eye", "nothing")), given, 0, QUIET)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    kept = accuracy(fused.out_of_fold, given)
    after = {
        encoder: accuracy(fused.changed(Change(shuffled=frozenset({encoder}), order=order)), given)
        for encoder in ("ear", "eye", "nothing")
    }
    assert after["ear"] < kept - 0.1 and after["eye"] < kept - 0.1
    assert after["nothing"] == pytest.approx(kept, abs=0.05)


def test_shuffling_some_columns_is_shuffling_them_by_hand() -> None:
    given = toy_inputs(per_fold=20)
    config = EarlyConfig(features=("ear", "eye"), training=CONFIG)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    changed = fit(config, given, 0, QUIET).changed(
        Change(shuffled=frozenset({"ear"}), columns=torch.tensor([1]), order=order)
    )
    # Fold 2's clips only, so that the models that judge them are the same.
    ear = given.features["ear"].clone()
    ear[40:60, 1] = ear[order][40:60, 1]
    by_hand = fit(config, replace(given, features={**given.features, "ear": ear}), 0, QUIET)
    np.testing.assert_allclose(changed[40:60], by_hand.out_of_fold[40:60], atol=1e-6)


def test_clips_without_features_lend_none() -> None:
    """Whom they would lend to keeps its own: otherwise the rows of zeros would count as features."""
    given = lacking(np.arange(0, 90, 2), "ear")
    fused = fit(EarlyConfig(features=("ear", "eye"), training=CONFIG), given, 0, QUIET)
    from_missing = torch.arange(90) // 2 * 2
    changed = fused.changed(Change(shuffled=frozenset({"ear"}), order=from_missing))
    np.testing.assert_allclose(changed, fused.out_of_fold, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hiding_modalities_while_training_helps_when_one_is_missing(seed: int) -> None:
    """Sound that is only the noise of the picture: who learns to subtract it is sure and wrong without it."""
    given = toy_inputs(seed, space=SINGLE_SPACE)
    rng = np.random.default_rng(seed)
    truth = given.targets.numpy()
    shown = np.concatenate([truth, np.eye(4)[rng.integers(0, 4, 10)]])
    noise = rng.normal(size=shown.shape)
    features = {"ear": noise, "eye": 2 * shown + 1.5 * noise + 0.3 * rng.normal(size=shown.shape)}
    tensors = {name: torch.tensor(x, dtype=torch.float32) for name, x in features.items()}
    planted = replace(given, features=tensors, sequences={})
    losses: dict[float, float] = {}
    for rate in (0.0, 0.6):
        training = TrainingConfig(
            learning_rate=0.05,
            weight_decay=0.01,
            max_epochs=12,
            batch_size=64,
            hidden=16,
            modality_dropout=rate,
        )
        fused = fit(EarlyConfig(features=("ear", "eye"), training=training), planted, seed, QUIET)
        without = fused.changed(WITHOUT_AUDIO)
        losses[rate] = float(-(truth * np.log(without.clip(1e-9))).sum(axis=1).mean())
    assert losses[0.6] < losses[0.0] - 0.2, losses
