"""Nothing of a fold reaches its own predictions; what is chosen is chosen on inner folds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import FINAL, Nested, train_nested
from blended.fusion.objective import LossConfig
from blended.fusion.plan import Job, inner_fold, model_seed
from blended.fusion.strategies import fit
from blended.fusion.training import train
from toys.problems import OF_FEATURES, QUIET, toy_config, toy_inputs, toy_problem

CONFIG = TrainingConfig(learning_rate=0.05, max_epochs=4, batch_size=24)
FOLDS = [0, 1, 2, 3]
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "seeds": ("early", {"seeds": 2}, {}),
    "learning rates": ("early", {"learning_rate": (0.1, 0.001)}, {}),
    "pca": ("early", {}, {"pca": {"components": 3}}),
    "set-ratio": ("early", {"scores": "set-ratio", "hidden": 3}, {}),
    "balance": ("early", {"loss": LossConfig(balance=0.5), "mixup": 0.3, "patience": 1}, {}),
    "stacking": ("late", {}, {"weights": "stacking"}),
    "top": ("late", {}, {"top": 1}),
    "late, all": (
        "late",
        {"seeds": 2, "learning_rate": (0.1, 0.01), "scores": "set-ratio", "loss": LossConfig(balance=0.4)},
        {"pca": {"components": 2}, "standardise": "actor"},
    ),
} | {name: (name, {}, {}) for name in OF_FEATURES}


def config_of(variant: str) -> Any:
    name, training, settings = VARIANTS[variant]
    return toy_config(name, CONFIG.model_copy(update=training), **settings)


def relabelled(given: Inputs, fold: int) -> Inputs:
    targets = given.targets.clone()
    rows = torch.as_tensor(given.folds == fold)
    targets[rows] = targets[rows].flip(0).roll(1, dims=1)
    return replace(given, targets=targets)


@pytest.mark.parametrize("variant", VARIANTS)
def test_labels_of_a_fold_never_reach_its_own_predictions(variant: str) -> None:
    """Planted leak: whatever the labels of fold 2 are, its predictions must not move.

    Nor what was chosen for it, nor the predictions for fold 3 on which such choices are made.
    """
    given = toy_inputs(per_fold=12, dim=3)
    config = config_of(variant)
    before, after = (fit(config, one, 0, QUIET) for one in (given, relabelled(given, 2)))
    own, choosing = given.folds == 2, given.folds == 3
    np.testing.assert_allclose(before.out_of_fold[own], after.out_of_fold[own], atol=1e-6)
    np.testing.assert_allclose(before.inner[choosing], after.inner[choosing], atol=1e-6)
    assert not np.allclose(before.out_of_fold[~own], after.out_of_fold[~own], atol=1e-3)
    assert not np.allclose(before.inner[~choosing], after.inner[~choosing], atol=1e-3)
    if before.states is not None and after.states is not None:
        np.testing.assert_allclose(before.states[own], after.states[own], atol=1e-6)
    for name, value in before.fitted.items():
        if name.endswith("/fold2"):
            assert value == pytest.approx(after.fitted[name], abs=1e-6), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_decision_is_fitted_on_hears_nothing_of_the_folds_labels(variant: str) -> None:
    """Planted leak: whatever the labels of fold 2 are, all that decides it must not move."""
    given = replace(toy_inputs(per_fold=12, dim=3), nesting="strict")
    config = config_of(variant)
    before, after = (fit(config, one, 0, QUIET) for one in (given, relabelled(given, 2)))
    assert before.fitting is not None and after.fitting is not None
    assert before.fitting.shape == (4, 48, 4) and np.isfinite(before.fitting).all()
    np.testing.assert_allclose(before.fitting[2], after.fitting[2], atol=1e-6)
    if before.fitting_states is not None and after.fitting_states is not None:
        np.testing.assert_allclose(before.fitting_states[2], after.fitting_states[2], atol=1e-6)
    assert (before.states is None) == (before.fitting_states is None)
    own = given.folds == 2
    for fold in (0, 1, 3):
        others = ~own & (given.folds != fold)
        assert not np.allclose(before.fitting[fold][others], after.fitting[fold][others], atol=1e-3)
    # What plain nesting fits on does move: that is what strict nesting is for.
    assert not np.allclose(before.out_of_fold[~own], after.out_of_fold[~own], atol=1e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_reported_is_as_under_plain_nesting(variant: str) -> None:
    given = toy_inputs(per_fold=12, dim=3)
    config = config_of(variant)
    plain, strict = (fit(config, replace(given, nesting=one), 0, QUIET) for one in ("plain", "strict"))
    for kind in ("out_of_fold", "inner", "test", "states", "test_states"):
        np.testing.assert_array_equal(getattr(plain, kind), getattr(strict, kind), err_msg=kind)
    assert plain.fitted == strict.fitted
    for name, value in plain.state.items():
        assert torch.equal(value, strict.state[name]), name


def nested_of(config: TrainingConfig, given: Inputs | None = None, seed: int = 0) -> Nested:
    given = toy_inputs(per_fold=12) if given is None else given
    problem = toy_problem(config, inputs=given)
    return train_nested(problem, given.folds, len(given.clips), config, seed, QUIET)


def test_features_of_a_fold_reach_neither_its_probe_nor_its_model() -> None:
    given = toy_inputs(per_fold=12)
    spoilt = replace(given, features={name: x.clone() for name, x in given.features.items()})
    for x in spoilt.features.values():
        x[torch.as_tensor(np.flatnonzero(given.folds == 2))] *= 50
    before, after = nested_of(CONFIG, given), nested_of(CONFIG, spoilt)
    assert before.choices[2] == after.choices[2]
    ours, theirs = before.reported.state([2]), after.reported.state([2])
    for name, value in ours.items():
        assert torch.allclose(value, theirs[name], atol=1e-6)
    others = before.reported.state([0])
    assert not torch.allclose(others["source.ear.mean"], after.reported.state([0])["source.ear.mean"])


def test_inner_predictions_are_of_probes_that_saw_neither_fold() -> None:
    """Trained by hand without both folds, and stopped where the inner fold is best."""
    given = toy_inputs(per_fold=12)
    nested = nested_of(CONFIG, given)
    for held in FOLDS:
        inner = inner_fold(held, FOLDS)
        assert inner == (held + 1) % 4
        rows = np.flatnonzero((given.folds != held) & (given.folds != inner))
        watched = np.flatnonzero(given.folds == inner)
        problem = toy_problem(CONFIG, inputs=given)
        job = Job(rows, CONFIG.max_epochs, model_seed(0, held), 0.05, watched)
        probe = train(problem, [job], CONFIG, QUIET)
        expected = probe.predict(watched[None])["emotions"][0]
        np.testing.assert_allclose(nested.inner["emotions"][watched], expected, atol=1e-5)
        assert nested.choices[held].epochs == int(np.argmin(probe.watched_loss[0])) + 1


def test_the_rate_is_the_one_with_the_smallest_inner_loss() -> None:
    rates = (1e-4, 0.05, 1.0)
    given = toy_inputs(per_fold=12)
    config = CONFIG.model_copy(update={"learning_rate": rates, "seeds": 2})
    nested = nested_of(config, given)
    for held in FOLDS:
        rows = np.flatnonzero((given.folds != held) & (given.folds != (held + 1) % 4))
        watched = np.flatnonzero(given.folds == (held + 1) % 4)
        losses = {
            rate: train(
                toy_problem(config, inputs=given),
                [Job(rows, 4, model_seed(0, held, repeat), rate, watched) for repeat in range(2)],
                config,
                QUIET,
            ).watched_loss.mean(axis=0)
            for rate in rates
        }
        best = min(rates, key=lambda rate: losses[rate].min())
        assert nested.choices[held].learning_rate == best
        assert nested.choices[held].epochs == int(losses[best].argmin()) + 1
    chosen = [nested.choices[fold].learning_rate for fold in FOLDS]
    assert nested.choices[FINAL].learning_rate == max(rates, key=chosen.count)
    epochs = sorted(nested.choices[fold].epochs for fold in FOLDS)
    assert nested.choices[FINAL].epochs == round((epochs[1] + epochs[2]) / 2)


def test_the_final_model_is_refitted_on_all_clips() -> None:
    given = toy_inputs(per_fold=12)
    config = CONFIG.model_copy(update={"seeds": 2})
    nested = nested_of(config, given)
    jobs = [Job(np.arange(48), nested.choices[FINAL].epochs, model_seed(0, FINAL, r), 0.05) for r in range(2)]
    final = train(toy_problem(config, inputs=given), jobs, config, QUIET)
    expected = final.predict_all(np.arange(48, 58))["emotions"].mean(axis=0)
    np.testing.assert_allclose(nested.test["emotions"], expected, atol=1e-5)
    assert len(nested.final_models) == 2


def test_the_final_model_may_be_the_mean_of_those_of_the_folds() -> None:
    given = toy_inputs(per_fold=12)
    config = CONFIG.model_copy(update={"final": "folds", "seeds": 2})
    nested, refitted = nested_of(config, given), nested_of(CONFIG.model_copy(update={"seeds": 2}), given)
    assert nested.final_models == tuple(range(8))
    of_folds = refitted.reported.predict_all(np.arange(48, 58))["emotions"][:8]
    np.testing.assert_allclose(nested.test["emotions"], of_folds.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(nested.out_of_fold["emotions"], refitted.out_of_fold["emotions"], atol=1e-5)
    assert not np.allclose(nested.test["emotions"], refitted.test["emotions"], atol=1e-4)


def test_several_seeds_are_the_mean_of_their_models() -> None:
    given = toy_inputs(per_fold=12)
    nested = nested_of(CONFIG.model_copy(update={"seeds": 3}), given)
    for fold in FOLDS:
        rows = np.flatnonzero(given.folds == fold)
        models = [place for place, own in enumerate(nested.fold_of_model) if own == fold]
        assert len(models) == 3
        each = nested.reported.predict_all(rows)["emotions"][models]
        np.testing.assert_allclose(nested.out_of_fold["emotions"][rows], each.mean(axis=0), atol=1e-6)
        assert not np.allclose(each[0], each[1], atol=1e-3)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_two_folds_are_too_few(name: str) -> None:
    with pytest.raises(
        InputError, match=r"at least 3 folds, got \[0, 1\]: one is reported, one chooses the num"
    ):
        fit(toy_config(name, CONFIG), toy_inputs(num_folds=2, per_fold=12), 0, QUIET)
