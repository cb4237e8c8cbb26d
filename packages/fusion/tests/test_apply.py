"""Stored final models on clips that they have not seen."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from blended.data import InputError
from blended.fusion.apply import APPLIERS, apply_final
from blended.fusion.inputs import Inputs
from blended.fusion.strategies import FUSIONS, EarlyConfig, Fused, LateConfig, fit
from blended.fusion.training import TrainingConfig

NUM_TRAIN, NUM_TEST = 24, 5
TEST_ACTORS = ["x", "x", "y", "y", "y"]
QUICK = TrainingConfig(max_epochs=4, hidden=3)
CONFIGS = [
    EarlyConfig(features=("ear", "eye"), training=QUICK),
    EarlyConfig(features=("eye",), standardise="actor"),
    LateConfig(features=("eye", "ear"), training=QUICK),
    LateConfig(features=("ear", "eye"), standardise="actor", weights="equal"),
]


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    folds = np.arange(NUM_TRAIN) % 4
    targets = np.eye(3)[rng.integers(0, 3, NUM_TRAIN)]
    return Inputs(
        features={
            "ear": torch.tensor(rng.normal(size=(NUM_TRAIN + NUM_TEST, 4)), dtype=torch.float32),
            "eye": torch.tensor(rng.normal(3, 5, size=(NUM_TRAIN + NUM_TEST, 2)), dtype=torch.float32),
        },
        targets=torch.tensor(targets, dtype=torch.float32),
        folds=folds,
        actors=(*map(str, folds.tolist()), *TEST_ACTORS),
    )


def fitted(config: EarlyConfig | LateConfig) -> Fused:
    return fit(config, inputs(), 0, lambda message: None)


def test_features(*names: str) -> Mapping[str, Tensor]:
    return {name: inputs().features[name][NUM_TRAIN:] for name in names}


test_features.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def test_every_strategy_can_be_applied() -> None:
    assert {*APPLIERS} == {*FUSIONS}


@pytest.mark.parametrize("config", CONFIGS)
def test_the_test_partition_is_predicted_as_in_training(config: EarlyConfig | LateConfig) -> None:
    fused = fitted(config)
    applied = apply_final(config, fused.state, test_features(*config.features), TEST_ACTORS)
    np.testing.assert_allclose(applied.probabilities, fused.test, atol=1e-6)
    assert sum(applied.weights.values()) == pytest.approx(1)
    assert applied.missing == ()


def test_late_fusion_does_without_an_encoder() -> None:
    config = LateConfig(features=("ear", "eye"), training=QUICK)
    fused = fitted(config)
    applied = apply_final(config, fused.state, test_features("eye"), TEST_ACTORS)
    alone = LateConfig(features=("eye",), training=QUICK)
    expected = apply_final(alone, fused.state | {"weights": torch.ones(1)}, test_features("eye"), TEST_ACTORS)
    np.testing.assert_allclose(applied.probabilities, expected.probabilities)
    assert applied.weights == {"eye": 1.0} and applied.missing == ("ear",)


def test_an_encoder_without_weight_answers_if_it_is_alone() -> None:
    config = LateConfig(features=("ear", "eye"), training=QUICK)
    state = {**fitted(config).state, "weights": torch.tensor([1.0, 0.0])}
    applied = apply_final(config, state, test_features("eye"), TEST_ACTORS)
    assert applied.weights == {"eye": 1.0}
    np.testing.assert_allclose(applied.probabilities.sum(axis=1), 1, atol=1e-6)


def test_early_fusion_refuses_to_do_without() -> None:
    config = EarlyConfig(features=("ear", "eye"), training=QUICK)
    with pytest.raises(InputError, match="side by side and cannot do without ear: give a clip that has both"):
        apply_final(config, fitted(config).state, test_features("eye"), TEST_ACTORS)


def test_nothing_at_all_is_refused() -> None:
    config = LateConfig(features=("ear", "eye"), training=QUICK)
    with pytest.raises(InputError, match="no features to decide from, expected those of ear, eye"):
        apply_final(config, fitted(config).state, {}, [])


def test_features_of_another_width_are_refused() -> None:
    config = EarlyConfig(features=("eye",), training=QUICK)
    with pytest.raises(InputError, match="eye have 4 columns, but the model was trained on 2"):
        apply_final(config, fitted(config).state, {"eye": test_features("ear")["ear"]}, TEST_ACTORS)


def test_strangeness_is_the_distance_from_the_training_clips() -> None:
    config = EarlyConfig(features=("ear", "eye"), training=QUICK)
    given, fused = inputs(), fitted(config)
    train = {name: values[:NUM_TRAIN] for name, values in given.features.items()}
    usual = apply_final(config, fused.state, train, given.actors[:NUM_TRAIN]).strangeness["ear+eye"]
    assert np.mean(usual**2) == pytest.approx(1, abs=1e-5)
    far = {name: values + 100 for name, values in train.items()}
    assert apply_final(config, fused.state, far, given.actors[:NUM_TRAIN]).strangeness["ear+eye"].min() > 10
