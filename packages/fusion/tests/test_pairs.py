"""Models of pairs of folds: what each of them is, and exact continuation.

That they hear nothing of a fold that they leave out is tested in test_nested.py and, for all strategies, in
test_contract.py.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import Nested, train_nested
from blended.fusion.pairs import MOST_FOLDS, groups_of, num_models
from blended.fusion.plan import Job, inner_fold, model_seed
from blended.fusion.run import Surroundings
from blended.fusion.training import train
from toys.problems import QUIET, quiet, toy_inputs, toy_problem

CONFIG = TrainingConfig(learning_rate=0.05, max_epochs=4, batch_size=24)


def relabelled(given: Inputs, fold: int) -> Inputs:
    targets = given.targets.clone()
    rows = torch.as_tensor(given.folds == fold)
    targets[rows] = targets[rows].flip(0).roll(1, dims=1)
    return replace(given, targets=targets)


def nested_of(
    config: TrainingConfig, given: Inputs, run: Surroundings = QUIET, nesting: Any = "strict"
) -> Nested:
    problem = toy_problem(config, inputs=given)
    return train_nested(problem, given.folds, len(given.clips), config, 0, run, nesting)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"learning_rate": (0.1, 0.004, 0.02)},
        {"seeds": 2, "scores": "set-ratio"},
        {"patience": 1, "learning_rate": (0.3, 0.004), "max_epochs": 9},
        {"schedule": "cosine", "ema": 0.8, "dropout": 0.2, "hidden": 4, "mixup": 0.2},
    ],
)
def test_pairs_are_what_they_are_when_trained_by_themselves(changes: dict[str, Any]) -> None:
    """Without either fold, for the epochs and at the rate that the decided fold's inner fold chose."""
    config = CONFIG.model_copy(update=changes)
    given = toy_inputs(per_fold=12, num_folds=5)
    nested, folds = nested_of(config, given), [*range(5)]
    for number, fold in enumerate(folds):
        choice = nested.choices[fold]
        for other in set(folds) - {fold}:
            rows = np.flatnonzero(given.folds == other)
            first = fold if (other - fold) % 5 in (1, 2) else other
            if other == inner_fold(fold, folds) and config.seeds > 1:
                continue  # by each repeat's own best epoch: those of `inner`
            jobs = [
                Job(
                    np.flatnonzero((given.folds != fold) & (given.folds != other)),
                    choice.epochs,
                    model_seed(0, first, repeat),
                    choice.learning_rate,
                )
                for repeat in range(config.seeds)
            ]
            alone = train(toy_problem(config, inputs=given), jobs, config, QUIET).predict_all(rows)
            for kind, values in alone.items():
                expected, found = values.mean(axis=0), nested.fitting[kind][number, rows]
                np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"{fold} {other} {kind}")


def test_a_probe_that_gave_up_too_early_is_trained_on() -> None:
    """Its patience was over before the epoch that the other fold's decision wants."""
    config = CONFIG.model_copy(update={"patience": 1, "learning_rate": 0.05, "max_epochs": 12})
    given = toy_inputs(per_fold=12, num_folds=3, noise=3)
    said: list[str] = []
    nested = nested_of(config, given, Surroundings(said.append))
    epochs = [nested.choices[fold].epochs for fold in range(3)]
    assert len({*epochs}) > 1 and np.isfinite(nested.fitting["emotions"]).all()
    assert len([one for one in said if one.startswith("trained")]) == 3


def test_many_folds_are_left_out_in_groups() -> None:
    """Thirteen folds have 78 pairs; groups of them have 40 models, and are as strict."""
    assert groups_of([*range(5)]) == [[0], [1], [2], [3], [4]] and num_models([*range(5)]) == 5
    assert len(groups_of([*range(10)])) == 10 and num_models([*range(10)]) == 35
    assert len(groups_of([*range(11)])) == MOST_FOLDS and num_models([*range(47)]) == 45
    given, config = (
        toy_inputs(per_fold=3, num_folds=13, num_test=0),
        CONFIG.model_copy(update={"max_epochs": 2}),
    )
    said: list[str] = []
    before, after = (
        nested_of(config, one, Surroundings(said.append)) for one in (given, relabelled(given, 2))
    )
    assert (
        "13 folds: decisions are fitted on scores of 40 models, each of which leaves out one or two of 9"
        in said[2]
    )
    fitting, changed = before.fitting["emotions"], after.fitting["emotions"]
    assert fitting.shape == (13, 39, 4) and np.isfinite(fitting).all()
    np.testing.assert_allclose(fitting[2], changed[2], atol=1e-6)
    # Fold 11 is in the group of fold 2: the model of its scores for fold 2 saw neither.
    rows = np.flatnonzero(given.folds == 11)
    seen = np.flatnonzero(~np.isin(given.folds, [2, 11]))
    choice = before.choices[2]
    job = Job(seen, choice.epochs, model_seed(0, 2), choice.learning_rate)
    alone = train(toy_problem(config, inputs=given), [job], config, QUIET).predict_all(rows)
    np.testing.assert_allclose(fitting[2, rows], alone["emotions"][0], atol=1e-5)


@pytest.mark.parametrize("stage", ["probes", "pairs"])
def test_interrupted_it_ends_with_the_same_scores(tmp_path: Path, stage: str) -> None:
    config = CONFIG.model_copy(update={"hidden": 4, "dropout": 0.2, "max_epochs": 6, "seeds": 2})
    given = toy_inputs(per_fold=12, num_folds=5)
    whole = nested_of(config, given)
    epochs: dict[str, int] = {}

    def stop(batched: Any) -> None:
        # Whichever training is running: the second epoch of the stage ends it.
        if (tmp_path / stage).exists() and batched.epoch == 2:
            epochs[stage] = batched.epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nested_of(config, given, Surroundings(quiet, None, tmp_path, checkpoint_seconds=0, on_batch=stop))
    said: list[str] = []
    resumed = nested_of(config, given, Surroundings(said.append, None, tmp_path))
    assert any(one.endswith(f"epochs from {tmp_path / stage}") for one in said)
    for kind, values in whole.fitting.items():
        np.testing.assert_array_equal(values, resumed.fitting[kind])
    again = nested_of(config, given, Surroundings(quiet, None, tmp_path))
    np.testing.assert_array_equal(whole.fitting["emotions"], again.fitting["emotions"])
