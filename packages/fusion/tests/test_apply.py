"""Stored final models on clips that they have not seen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.sequences import Sequences
from blended.fusion.strategies import FUSIONS, EarlyConfig, LateConfig, apply_final, fit
from blended.fusion.strategy import NewClips
from toys.problems import MODALITY_OF, OF_FEATURES, QUIET, TOY_SPACE, toy_config, toy_inputs

QUICK = TrainingConfig(max_epochs=3, hidden=3, learning_rate=0.02)
NUM_TRAIN = 40
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "early, per actor": ("early", {}, {"standardise": "actor", "features": ("eye",)}),
    "early, pca, seeds": ("early", {"seeds": 2}, {"pca": {"components": 3}}),
    "early, unwhitened, folds": ("early", {"final": "folds"}, {"pca": {"components": 3, "whiten": False}}),
    "early, set-ratio": ("early", {"scores": "set-ratio"}, {}),
    "late, stacking": ("late", {}, {"weights": "stacking"}),
    "late, equal, per actor": ("late", {}, {"weights": "equal", "standardise": "actor"}),
    "late, everything": (
        "late",
        {"seeds": 2, "final": "folds", "scores": "set-ratio", "ema": 0.5},
        {"pca": {"components": 2}, "top": 1},
    ),
} | {name: (name, {}, {}) for name in OF_FEATURES}


def given() -> Inputs:
    """People of the test partition have as many clips as whoever enrols gives at least."""
    inputs = toy_inputs(per_fold=10, num_test=16, dim=4)
    return replace(inputs, actors=(*inputs.actors[:NUM_TRAIN], *["x", "y"] * 8))


def config_of(variant: str) -> Any:
    name, training, settings = VARIANTS[variant]
    return toy_config(name, QUICK.model_copy(update=training), **settings)


def clips_of(inputs: Inputs, names: tuple[str, ...], part: slice, reads: str = "vectors") -> NewClips:
    given = inputs.features if reads == "vectors" else inputs.sequences
    features = {name: cut(given[name], part) for name in names}
    return NewClips(TOY_SPACE, inputs.actors[part], MODALITY_OF, features)


def cut(sequences: torch.Tensor | Sequences, part: slice) -> torch.Tensor | Sequences:
    if isinstance(sequences, torch.Tensor):
        return sequences[part]
    lengths = sequences.lengths_N[part]
    first = int(sequences.starts_N[part][0])
    values = sequences.values_FD[first : first + int(lengths.sum())]
    return Sequences(values, lengths.cumsum(0) - lengths, lengths, sequences.rate_hz)


TEST, TRAIN = slice(NUM_TRAIN, None), slice(NUM_TRAIN)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_test_partition_is_predicted_as_in_training(variant: str) -> None:
    """From the state as a file holds it."""
    config, inputs = config_of(variant), given()
    fused = fit(config, inputs, 0, QUIET)
    state = load(save({name: value.contiguous() for name, value in fused.state.items()}))
    applied = apply_final(
        config, state, clips_of(inputs, config.features, TEST, FUSIONS[config.name].reads.name)
    )
    np.testing.assert_allclose(applied.probabilities, fused.test, atol=1e-6)
    assert (applied.states is None) == (fused.test_states is None)
    if applied.states is not None and fused.test_states is not None:
        np.testing.assert_allclose(applied.states, fused.test_states, atol=1e-6)
    assert sum(applied.weights.values()) == pytest.approx(1)
    assert applied.missing == ()


@pytest.mark.parametrize("name", OF_FEATURES)
@pytest.mark.parametrize("left", ["ear", "eye"])
def test_every_strategy_does_without_an_encoder_as_in_training(name: str, left: str) -> None:
    """New clips without it are judged as test clips that lacked it."""
    gone = "eye" if left == "ear" else "ear"
    mask = np.arange(56) >= NUM_TRAIN
    whole = given()
    lacks = toy_inputs(per_fold=10, num_test=16, dim=4, missing={gone: mask})
    lacks = replace(lacks, actors=whole.actors)
    config = toy_config(name, QUICK)
    fused = fit(config, lacks, 0, QUIET)
    applied = apply_final(config, fused.state, clips_of(whole, (left,), TEST, FUSIONS[name].reads.name))
    np.testing.assert_allclose(applied.probabilities, fused.test, atol=1e-6)
    assert applied.weights == {left: 1.0} and applied.missing == (gone,)
    assert {*applied.out_of_distribution} <= {left, MODALITY_OF[left]}


def test_late_fusion_without_an_encoder_is_the_other_one() -> None:
    config = LateConfig(features=("ear", "eye"), training=QUICK)
    fused = fit(config, given(), 0, QUIET)
    applied = apply_final(config, fused.state, clips_of(given(), ("eye",), TEST))
    alone = LateConfig(features=("eye",), training=QUICK)
    state = dict(fused.state) | {"weights": torch.ones(1, dtype=torch.double)}
    expected = apply_final(alone, state, clips_of(given(), ("eye",), TEST))
    np.testing.assert_allclose(applied.probabilities, expected.probabilities)


def test_an_encoder_without_weight_answers_if_it_is_alone() -> None:
    config = LateConfig(features=("ear", "eye"), training=QUICK)
    state = dict(fit(config, given(), 0, QUIET).state) | {"weights": torch.tensor([1.0, 0.0])}
    applied = apply_final(config, state, clips_of(given(), ("eye",), TEST))
    assert applied.weights == {"eye": 1.0}
    np.testing.assert_allclose(applied.probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_nothing_at_all_is_refused(name: str) -> None:
    nothing = NewClips(TOY_SPACE, ["x"], MODALITY_OF)
    with pytest.raises(InputError, match="no features to decide from, expected those of ear, eye"):
        apply_final(toy_config(name, QUICK), {}, nothing)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_features_of_another_width_are_refused(name: str) -> None:
    config, inputs = toy_config(name, QUICK), given()
    state = fit(config, inputs, 0, QUIET).state
    clips = clips_of(inputs, ("ear", "eye"), TEST, FUSIONS[name].reads.name)
    eye = clips.features["eye"]
    less = eye[:, :3] if isinstance(eye, torch.Tensor) else replace(eye, values_FD=eye.values_FD[:, :3])
    narrow = replace(clips, features={**clips.features, "eye": less})
    with pytest.raises(
        InputError, match=r"3 columns, but the model was trained on 4: the encoder.* settings differ"
    ):
        apply_final(config, state, narrow)


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    config = EarlyConfig(features=("ear",)).model_copy(update={"name": "erly"})
    with pytest.raises(InputError, match="early"):
        apply_final(config, {}, clips_of(given(), ("ear",), TEST))


def test_out_of_distribution_distance_is_the_distance_from_the_training_clips() -> None:
    config, inputs = EarlyConfig(features=("ear", "eye"), training=QUICK), given()
    fused = fit(config, inputs, 0, QUIET)
    clips = clips_of(inputs, config.features, TRAIN)
    usual = apply_final(config, fused.state, clips).out_of_distribution
    assert {*usual} == {"ear", "eye"}
    assert np.mean(usual["ear"] ** 2) == pytest.approx(1, abs=1e-4)
    far = replace(clips, features={name: x + 100 for name, x in clips.vectors.items()})
    assert apply_final(config, fused.state, far).out_of_distribution["ear"].min() > 10
