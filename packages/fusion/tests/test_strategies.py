"""Strategies as a whole: able to use what is planted, repeatable, and clear about what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.strategies import EarlyConfig, LateConfig, fit
from toys.problems import OF_FEATURES, QUIET, SINGLE_SPACE, TOY_SPACE, toy_config, toy_inputs

CONFIG = TrainingConfig(learning_rate=0.1, weight_decay=0.01, max_epochs=8, batch_size=64)
NUM_TRAIN, NUM_TEST = 120, 10


def accuracy(out_of_fold: np.ndarray, given: Inputs) -> float:
    return float((out_of_fold.argmax(axis=1) == given.targets.numpy().argmax(axis=1)).mean())


def loss(predicted: np.ndarray, given: Inputs) -> float:
    return float(-(given.targets.numpy() * np.log(predicted.clip(1e-9))).sum(axis=1).mean())


@pytest.mark.parametrize("name", OF_FEATURES)
def test_both_modalities_beat_each_alone(name: str) -> None:
    """A mean of probabilities gains least: it cannot rule out what one encoder rules out."""
    given = toy_inputs(space=SINGLE_SPACE, noise=0.5)
    both = accuracy(fit(toy_config(name, CONFIG), given, 0, QUIET).out_of_fold, given)
    for encoder in ("ear", "eye"):
        alone = fit(EarlyConfig(features=(encoder,), training=CONFIG), given, 0, QUIET)
        assert both > accuracy(alone.out_of_fold, given) + (0.03 if name == "late" else 0.1)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_probabilities_and_repeatability(name: str) -> None:
    given = toy_inputs()
    config = toy_config(name, CONFIG.model_copy(update={"max_epochs": 3}))
    first, second, other = (fit(config, given, seed, QUIET) for seed in (7, 7, 8))
    for values, rows in ((first.out_of_fold, NUM_TRAIN), (first.inner, NUM_TRAIN), (first.test, NUM_TEST)):
        assert values.shape == (rows, 4)
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
        assert (values >= 0).all()
    for kind in ("out_of_fold", "inner", "test"):
        np.testing.assert_array_equal(getattr(first, kind), getattr(second, kind))
        assert not np.allclose(getattr(first, kind), getattr(other, kind), atol=1e-3)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_without_test_clips_there_are_no_predictions_for_them(name: str) -> None:
    quick = CONFIG.model_copy(update={"max_epochs": 2})
    fused = fit(toy_config(name, quick), toy_inputs(num_test=0), 0, QUIET)
    assert fused.test.shape == (0, 4) and fused.out_of_fold.shape == (NUM_TRAIN, 4)


def test_late_weights_prefer_the_encoder_that_knows() -> None:
    given = toy_inputs(space=SINGLE_SPACE)
    fused = fit(LateConfig(features=("nothing", "ear"), training=CONFIG), given, 0, QUIET)
    for where in ("fold0", "fold1", "fold2", "fold3", "final"):
        ear, nothing = fused.fitted[f"ear/weight/{where}"], fused.fitted[f"nothing/weight/{where}"]
        assert ear + nothing == pytest.approx(1)
        assert ear > 0.7
    equal = LateConfig(features=("ear", "nothing"), weights="equal", training=CONFIG)
    assert fit(equal, given, 0, QUIET).fitted["ear/weight/fold0"] == 0.5


def test_top_keeps_the_encoder_that_knows() -> None:
    given = toy_inputs(space=SINGLE_SPACE)
    config = LateConfig(features=("nothing", "ear"), top=1, training=CONFIG)
    fused = fit(config, given, 0, QUIET)
    alone = fit(LateConfig(features=("ear",), training=CONFIG), given, 0, QUIET)
    np.testing.assert_allclose(fused.out_of_fold, alone.out_of_fold)
    np.testing.assert_allclose(fused.test, alone.test)
    assert fused.fitted["nothing/weight/final"] == 0


def test_stacking_is_better_where_encoders_know_different_emotions() -> None:
    """`ear` tells two emotions apart, `eye` the other two: one weight for all of them is too coarse."""
    given = toy_inputs(space=SINGLE_SPACE, noise=0.5, per_fold=40)
    losses = {
        kind: loss(
            fit(
                LateConfig(features=("ear", "eye"), weights=kind, training=CONFIG), given, 0, QUIET
            ).out_of_fold,
            given,
        )
        for kind in ("equal", "learned", "stacking")
    }
    assert losses["stacking"] < min(losses["learned"], losses["equal"]) - 0.05


def test_what_combines_for_a_fold_is_fitted_on_its_inner_fold_alone() -> None:
    """Labels of folds 0 and 3 reach the models of fold 1 but not the fitting of its weights (fold 2)."""
    given = toy_inputs(space=SINGLE_SPACE, per_fold=20)
    fixed = CONFIG.model_copy(update={"max_epochs": 1})
    config = LateConfig(features=("ear", "eye"), training=fixed)
    targets = given.targets.clone()
    targets[torch.as_tensor(given.folds == 1)] = 0.25
    before, after = (fit(config, one, 0, QUIET).fitted for one in (given, replace(given, targets=targets)))
    assert before["ear/weight/fold1"] == after["ear/weight/fold1"]
    assert before["ear/weight/fold0"] != after["ear/weight/fold0"], "fold 1 is fold 0's inner fold"


def test_an_actor_in_two_folds_is_refused() -> None:
    given = toy_inputs()
    last = given.num_train - 1
    actors = ("00", *given.actors[1:last], "00", *given.actors[last + 1 :])
    with pytest.raises(InputError, match="actor '00' is in folds 0 and 3: a model would be judged on"):
        replace(given, actors=actors)


def test_nan_features_are_named() -> None:
    given = toy_inputs()
    broken = given.features["ear"].clone()
    broken[4, 1] = torch.nan
    with pytest.raises(InputError, match="features 'ear' of clip 'clip4' are NaN or infinite: extract them"):
        replace(given, features={"ear": broken})
    sequences = given.sequences["eye"]
    steps = sequences.values_FD.clone()
    steps[int(sequences.starts_N[6]) + 2] = torch.inf
    with pytest.raises(InputError, match="features 'eye' of clip 'clip6' are NaN or infinite"):
        replace(given, sequences={"eye": replace(sequences, values_FD=steps)})


def test_features_of_too_few_clips_are_refused() -> None:
    given = toy_inputs()
    with pytest.raises(
        InputError, match="features 'ear' cover 100 clips, expected the 130 to train and test"
    ):
        replace(given, features={"ear": given.features["ear"][:100]})


@pytest.mark.parametrize("name", OF_FEATURES)
def test_standardising_per_actor_removes_what_an_actor_adds(name: str) -> None:
    """Whatever offset and scale each person has, the predictions are the same."""
    given = toy_inputs(space=TOY_SPACE)
    rng = np.random.default_rng(1)
    people = {actor: (rng.normal(scale=9), rng.uniform(0.2, 5)) for actor in sorted(set(given.actors))}
    offset, scale = (torch.tensor([[people[a][k]] for a in given.actors]).float() for k in (0, 1))
    changed = replace(
        given,
        features={encoder: x * scale + offset for encoder, x in given.features.items()},
        sequences={
            encoder: replace(s, values_FD=s.values_FD * scale[s.clip_of_step] + offset[s.clip_of_step])
            for encoder, s in given.sequences.items()
        },
    )
    quick = CONFIG.model_copy(update={"max_epochs": 3})
    per_actor = toy_config(name, quick, standardise="actor")
    before, after = (fit(per_actor, one, 0, QUIET).out_of_fold for one in (given, changed))
    np.testing.assert_allclose(before, after, atol=1e-3)
    plain = toy_config(name, quick)
    before, after = (fit(plain, one, 0, QUIET).out_of_fold for one in (given, changed))
    assert not np.allclose(before, after, atol=0.05)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_standardising_per_actor_needs_actors(name: str) -> None:
    """Where nobody is named there is nothing to compare; a few strangers are held against everybody."""
    given, config = toy_inputs(), toy_config(name, CONFIG, standardise="actor")
    nameless = replace(given, actors=("",) * len(given.actors))
    with pytest.raises(InputError, match="130 clips are of 130 people: none beside the first of each"):
        fit(config, nameless, 0, QUIET)
    strangers = replace(given, actors=(*given.actors[:NUM_TRAIN], *[""] * NUM_TEST))
    quick = config.model_copy(update={"training": CONFIG.model_copy(update={"max_epochs": 2})})
    found = fit(quick, strangers, 0, QUIET).test
    assert found is not None and len(np.unique(found[:, 0])) == NUM_TEST, "no two have one answer"
