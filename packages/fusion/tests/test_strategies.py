"""Early and late fusion: honest, repeatable, and able to use what is planted."""

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.fusion.inputs import Inputs
from blended.fusion.nested import inner_fold, train_nested
from blended.fusion.strategies import FUSIONS, EarlyConfig, LateConfig, fit
from blended.fusion.training import TrainingConfig

NUM_FOLDS, PER_FOLD, NUM_TEST = 4, 30, 10
CONFIG = TrainingConfig(learning_rate=0.02, max_epochs=12, batch_size=16)


def quiet(message: str) -> None:
    assert message


def inputs(seed: int = 0, noise: float = 1.0) -> Inputs:
    """Encoder `ear` tells emotions 0 and 1 apart, `eye` emotions 2 and 3, `nothing` is noise."""
    rng = np.random.default_rng(seed)
    num_train = NUM_FOLDS * PER_FOLD
    labels = rng.integers(0, 4, num_train + NUM_TEST)
    one_hot = np.eye(4)[labels]
    ear = one_hot @ np.array([[2, 0], [-2, 0], [0, 2], [0, 2]]) + noise * rng.normal(size=(len(labels), 2))
    eye = one_hot @ np.array([[0, 2], [0, 2], [2, 0], [-2, 0]]) + noise * rng.normal(size=(len(labels), 2))
    nothing = rng.normal(size=(len(labels), 2))
    features = {"ear": ear, "eye": eye, "nothing": nothing}
    folds = np.repeat(np.arange(NUM_FOLDS), PER_FOLD)
    return Inputs(
        features={name: torch.tensor(x, dtype=torch.float32) for name, x in features.items()},
        targets=torch.tensor(one_hot[:num_train], dtype=torch.float32),
        folds=folds,
        actors=(*(f"{fold}{clip % 3}" for clip, fold in enumerate(folds)), *["t"] * NUM_TEST),
    )


def accuracy(out_of_fold: np.ndarray, given: Inputs) -> float:
    return float((out_of_fold.argmax(axis=1) == given.targets.numpy().argmax(axis=1)).mean())


@pytest.mark.parametrize("config", [EarlyConfig(features=("ear", "eye"), training=CONFIG),
                                    LateConfig(features=("ear", "eye"), training=CONFIG)])  # fmt: skip
def test_both_modalities_beat_each_alone(config: EarlyConfig | LateConfig) -> None:
    given = inputs()
    both = accuracy(fit(config, given, 0, quiet).out_of_fold, given)
    for name in ("ear", "eye"):
        alone = fit(EarlyConfig(features=(name,), training=CONFIG), given, 0, quiet)
        assert both > accuracy(alone.out_of_fold, given) + 0.1


@pytest.mark.parametrize("name", [*FUSIONS])
def test_probabilities_and_repeatability(name: str) -> None:
    given = inputs()
    config = FUSIONS[name][0].model_validate({"name": name, "features": ("ear", "eye"), "training": CONFIG})
    first, second = (FUSIONS[name][1](config, given, 7, quiet) for _ in range(2))
    for values, rows in ((first.out_of_fold, NUM_FOLDS * PER_FOLD), (first.test, NUM_TEST)):
        assert values.shape == (rows, 4)
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
        assert (values >= 0).all()
    np.testing.assert_array_equal(first.out_of_fold, second.out_of_fold)
    np.testing.assert_array_equal(first.test, second.test)


@pytest.mark.parametrize("name", [*FUSIONS])
def test_labels_of_a_fold_never_reach_its_own_predictions(name: str) -> None:
    """Planted leak: whatever the labels of fold 2 are, its predictions must not move."""
    given = inputs()
    config = FUSIONS[name][0].model_validate({"name": name, "features": ("ear", "eye"), "training": CONFIG})
    fit_strategy = FUSIONS[name][1]
    reported = given.folds == 2
    spoilt = given.targets.clone()
    spoilt[torch.as_tensor(reported)] = spoilt[torch.as_tensor(reported)].roll(1, dims=1)
    changed = Inputs(given.features, spoilt, given.folds, given.actors)
    before = fit_strategy(config, given, 0, quiet).out_of_fold
    after = fit_strategy(config, changed, 0, quiet).out_of_fold
    np.testing.assert_array_equal(before[reported], after[reported])
    assert not np.allclose(before[~reported], after[~reported])


def test_inner_predictions_come_from_probes_that_saw_neither_fold() -> None:
    given = inputs()
    folds = [0, 1, 2, 3]
    held, inner = 1, inner_fold(1, folds)
    blind = np.isin(given.folds, [held, inner])
    spoilt = given.targets.clone()
    spoilt[torch.as_tensor(given.folds == held)] = 0.25
    changed = Inputs(given.features, spoilt, given.folds, given.actors)
    x = given.features["ear"]
    before, after = (train_nested(x, one, CONFIG, 0, quiet) for one in (given, changed))
    rows = given.folds == inner
    np.testing.assert_array_equal(before.inner[rows], after.inner[rows])
    assert blind.sum() == 2 * PER_FOLD
    assert before.epochs[held] == after.epochs[held]


def test_late_weights_prefer_the_encoder_that_knows() -> None:
    given = inputs()
    fused = fit(LateConfig(features=("ear", "nothing"), training=CONFIG), given, 0, quiet)
    for fold in (0, 1, 2, 3, "final"):
        key = f"weight/{'final' if fold == 'final' else f'fold{fold}'}"
        ear, nothing = fused.fitted[f"ear/{key}"], fused.fitted[f"nothing/{key}"]
        assert ear + nothing == pytest.approx(1)
        assert ear > nothing
    equal = LateConfig(features=("ear", "nothing"), weights="equal", training=CONFIG)
    assert fit(equal, given, 0, quiet).fitted["ear/weight/fold0"] == 0.5


def test_an_actor_in_two_folds_is_refused() -> None:
    given = inputs()
    last = given.num_train - 1
    actors = ("00", *given.actors[1:last], "00", *given.actors[last + 1 :])
    with pytest.raises(InputError, match="actor '00' is in folds 0 and 3: a model would be judged on"):
        Inputs(given.features, given.targets, given.folds, actors)


def test_nan_features_are_named() -> None:
    given = inputs()
    broken = given.features["ear"].clone()
    broken[4, 1] = torch.nan
    with pytest.raises(InputError, match="features 'ear' of clip number 4 are NaN or infinite"):
        Inputs({"ear": broken}, given.targets, given.folds, given.actors)


def test_two_folds_are_too_few() -> None:
    given = inputs()
    folds = given.folds % 2
    actors = (*(f"{fold}{clip % 3}" for clip, fold in enumerate(folds)), *["t"] * NUM_TEST)
    few = Inputs(given.features, given.targets, folds, actors)
    with pytest.raises(InputError, match=r"at least 3 folds, got \[0, 1\]"):
        fit(EarlyConfig(features=("ear",), training=CONFIG), few, 0, quiet)


@pytest.mark.parametrize("name", [*FUSIONS])
def test_standardising_per_actor_removes_what_an_actor_adds(name: str) -> None:
    """Whatever offset and scale each person has, the predictions are the same."""
    given = inputs()
    rng = np.random.default_rng(1)
    people = {actor: (rng.normal(scale=9), rng.uniform(0.2, 5)) for actor in sorted(set(given.actors))}
    offset, scale = (torch.tensor([[people[a][k]] for a in given.actors]).float() for k in (0, 1))
    moved = {feature: x * scale + offset for feature, x in given.features.items()}
    changed = Inputs(moved, given.targets, given.folds, given.actors)
    config = FUSIONS[name][0].model_validate(
        {"name": name, "features": ("ear", "eye"), "standardise": "actor", "training": CONFIG}
    )
    before, after = (FUSIONS[name][1](config, one, 0, quiet) for one in (given, changed))
    np.testing.assert_allclose(before.out_of_fold, after.out_of_fold, atol=1e-3)
    plain = config.model_copy(update={"standardise": "training"})
    assert not np.allclose(
        FUSIONS[name][1](plain, given, 0, quiet).out_of_fold,
        FUSIONS[name][1](plain, changed, 0, quiet).out_of_fold,
        atol=0.05,
    )


def test_standardising_per_actor_needs_actors() -> None:
    given = inputs()
    nameless = Inputs(
        given.features, given.targets, given.folds, (*given.actors[: given.num_train], *[""] * NUM_TEST)
    )
    config = EarlyConfig(features=("ear",), standardise="actor", training=CONFIG)
    with pytest.raises(InputError, match="10 of 130 clips have no actor; use standardise: training"):
        fit(config, nameless, 0, quiet)
