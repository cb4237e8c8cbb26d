"""Mixtures, single emotions and intensities through the same strategies."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blended.data import InputError, LabelSpace
from blended.fusion.config import TrainingConfig
from blended.fusion.losses import state_layout
from blended.fusion.objective import LossConfig, make_objective
from blended.fusion.plan import Job
from blended.fusion.strategies import EarlyConfig, fit
from blended.fusion.training import train
from toys.problems import (
    INTENSITY_SPACE,
    OF_FEATURES,
    QUIET,
    SINGLE_SPACE,
    TOY_SPACE,
    toy_config,
    toy_inputs,
    toy_problem,
)

CPU = torch.device("cpu")
CONFIG = TrainingConfig(learning_rate=0.1, max_epochs=6, batch_size=64)
WITH_STATES = [name for name in OF_FEATURES if name != "subsampled"]
"""Strategies that a set-ratio head can top; stretches of a clip are averaged as logits of emotions."""


@pytest.mark.parametrize("name", WITH_STATES)
def test_states_add_up_to_one_and_their_shares_are_the_emotions(name: str) -> None:
    given = toy_inputs(per_fold=20)
    config = toy_config(name, CONFIG.model_copy(update={"scores": "set-ratio"}))
    fused = fit(config, given, 0, QUIET)
    shares = state_layout(TOY_SPACE).shares.double().numpy()
    for states, emotions in ((fused.states, fused.out_of_fold), (fused.test_states, fused.test)):
        assert states is not None and states.shape == (len(emotions), len(TOY_SPACE.states))
        np.testing.assert_allclose(states.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(states @ shares, emotions, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "scores"),
    [*((name, "emotions") for name in OF_FEATURES), *((name, "set-ratio") for name in WITH_STATES)],
)
def test_mixtures_are_learned(name: str, scores: str) -> None:
    given = toy_inputs(noise=0.5)
    config = toy_config(name, CONFIG.model_copy(update={"scores": scores, "hidden": 16}))
    fused = fit(config, given, 0, QUIET)
    truth = given.targets.numpy()
    guessed = np.abs(truth.mean(axis=0) - truth).sum(axis=1).mean()
    assert np.abs(fused.out_of_fold - truth).sum(axis=1).mean() < 0.8 * guessed
    assert (fused.states is not None) == (scores == "set-ratio")


@pytest.mark.parametrize("name", OF_FEATURES)
def test_single_emotions_are_learned(name: str) -> None:
    given = toy_inputs(space=SINGLE_SPACE, noise=0.5)
    fused = fit(toy_config(name, CONFIG), given, 0, QUIET)
    right = fused.out_of_fold.argmax(axis=1) == given.targets.numpy().argmax(axis=1)
    assert right.mean() > 0.7
    np.testing.assert_allclose(fused.out_of_fold.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("early", "ccc"),
        ("early", "pearson"),
        ("early", "pearson+ccc"),
        *((name, "auto") for name in OF_FEATURES),
    ],
)
def test_planted_intensities_are_recovered(name: str, loss: str) -> None:
    given = toy_inputs(space=INTENSITY_SPACE, noise=0.4)
    training = CONFIG.model_copy(update={"loss": LossConfig(name=loss), "max_epochs": 10})
    fused = fit(toy_config(name, training), given, 0, QUIET)
    truth = given.targets.numpy()
    for values in (fused.out_of_fold, fused.test):
        assert (values >= 0).all() and (values <= 1).all()
    each = [np.corrcoef(fused.out_of_fold[:, emotion], truth[:, emotion])[0, 1] for emotion in range(4)]
    assert np.mean(each) > 0.5, each


def test_late_stacking_of_intensities_stays_in_range() -> None:
    given = toy_inputs(space=INTENSITY_SPACE, noise=0.4)
    fused = fit(toy_config("late", CONFIG, weights="stacking"), given, 0, QUIET)
    assert (fused.out_of_fold >= 0).all() and (fused.out_of_fold <= 1).all()
    each = [np.corrcoef(fused.out_of_fold[:, e], given.targets.numpy()[:, e])[0, 1] for e in range(4)]
    assert np.mean(each) > 0.5


REFUSED = {
    "ccc for mixtures": (
        LossConfig(name="ccc"), TOY_SPACE, False, "loss 'ccc' does not fit a 'mixture' task",
    ),
    "kl for intensities": (
        LossConfig(name="kl"), INTENSITY_SPACE, False,
        r"loss 'kl' does not fit a 'intensities' task: expected one of auto, ccc, pearson, pearson\+ccc",
    ),
    "balance for intensities": (
        LossConfig(balance=0.5), INTENSITY_SPACE, False, "ranking, r_drop and balance are for distr",
    ),
    "ranking for intensities": (
        LossConfig(ranking=0.5), INTENSITY_SPACE, False, "ranking, r_drop and balance are for distr",
    ),
    "ep-ce for states": (
        LossConfig(name="ep-ce"), TOY_SPACE, True, "ep-ce weighs emotions and a set-ratio head gives",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    loss, space, has_states, sentence = REFUSED[name]
    with pytest.raises(InputError, match=sentence):
        make_objective(loss, space, has_states, CPU)


@pytest.mark.parametrize("space", [SINGLE_SPACE, INTENSITY_SPACE])
def test_a_set_ratio_head_needs_blends(space: LabelSpace) -> None:
    training = CONFIG.model_copy(update={"scores": "set-ratio"})
    config = EarlyConfig(features=("ear",), training=training)
    with pytest.raises(InputError, match="a set-ratio head needs a corpus whose label states include blends"):
        fit(config, toy_inputs(space=space, per_fold=6), 0, QUIET)


def test_labels_that_are_no_state_teach_a_set_ratio_head_nothing() -> None:
    """Their clips are as if they were not there, but for the features' standardisation."""
    config = TrainingConfig(scores="set-ratio", batch_size=60)
    given = toy_inputs()
    weights: list[torch.Tensor] = []
    for labels in ([0.4, 0.6, 0, 0], [0.25] * 4):
        targets = given.targets.clone()
        targets[30:60] = torch.tensor(labels)
        problem = toy_problem(config, inputs=replace(given, targets=targets))
        trained = train(problem, [Job(np.arange(60), 2, 1, 0.05)], config, QUIET)
        weights.append(next(iter(trained.parameters.values())))
    assert torch.equal(*weights)
