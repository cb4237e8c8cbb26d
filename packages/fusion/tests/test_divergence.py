"""Losses that are no longer numbers: the sentence, and what is kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.objective import Targets
from blended.fusion.plan import Job, batches_of_epoch
from blended.fusion.run import NAME, Surroundings
from blended.fusion.training import Problem, train
from toys.problems import QUIET, quiet, toy_inputs, toy_problem

CONFIG = TrainingConfig(batch_size=16)
JOB = Job(np.arange(60), 4, 3, 0.01)


def with_bad_label(row: int) -> Problem:
    problem = toy_problem(CONFIG)
    values = problem.targets.values_NE.clone()
    values[row] = torch.nan
    return replace(problem, targets=Targets(values, problem.targets.states_N))


@pytest.mark.parametrize("row", [3, 40])
def test_a_nan_is_named_by_epoch_and_batch(row: int) -> None:
    plan = batches_of_epoch([JOB], 0, CONFIG.batch_size)[:, 0]
    batch = int(np.flatnonzero((plan == row).any(axis=1))[0]) + 1
    first = int(plan[batch - 1, 0])
    with pytest.raises(
        InputError,
        match=rf"training diverged: the loss is NaN or infinite in epoch 1, batch {batch} \(clips number "
        rf"{first}, .*The last checkpoint before it is kept. Lower the learning rate from 0.01, or set",
    ):
        train(with_bad_label(row), [JOB], CONFIG, QUIET)


def test_the_first_bad_batch_of_the_first_bad_model_is_named() -> None:
    other = Job(np.arange(60, 120), 4, 5, 0.02)
    plan = batches_of_epoch([other], 0, CONFIG.batch_size)[:, 0]
    batch = int(np.flatnonzero((plan == 70).any(axis=1))[0]) + 1
    with pytest.raises(InputError, match=rf"epoch 1, batch {batch} .* from 0\.02"):
        train(with_bad_label(70), [JOB, other], CONFIG, QUIET)


@pytest.mark.parametrize("watched", [None, np.arange(60, 90)])
@pytest.mark.parametrize("batch_size", [16, 60])
def test_a_rate_that_explodes_is_an_error(watched: np.ndarray | None, batch_size: int) -> None:
    """With one batch an epoch, only the weights and the watched loss tell of the last step."""
    config = CONFIG.model_copy(update={"batch_size": batch_size, "weight_decay": 0.0})
    with pytest.raises(InputError, match=r"training diverged: .* [Ll]ower the learning rate"):
        train(toy_problem(config), [Job(np.arange(60), 3, 1, 1e38, watched)], config, QUIET)


def test_the_checkpoint_before_it_is_kept_and_goes_on(tmp_path: Path) -> None:
    """A fault that comes in the third epoch: what was written after the second is as it should be."""
    run = Surroundings(quiet, checkpoints=tmp_path, checkpoint_seconds=0)
    problem = toy_problem(CONFIG)
    undisturbed = train(problem, [JOB], CONFIG, QUIET)

    def spoil(epoch: object) -> None:
        if getattr(epoch, "number", 0) == 2:
            faulty.targets.values_NE[:] = torch.nan

    watching = replace(JOB, watched=np.arange(60, 90))
    faulty = toy_problem(CONFIG)
    with pytest.raises(InputError, match="in epoch 3, batch 1 "):
        train(faulty, [watching], CONFIG, replace(run, on_epoch=spoil))
    assert (tmp_path / NAME).is_file()
    messages: list[str] = []
    resumed = train(problem, [watching], CONFIG, replace(run, log=messages.append))
    assert messages[0].startswith("continuing after 2 epochs")
    assert resumed.watched_loss.shape == (1, 4) and np.isfinite(resumed.watched_loss).all()
    again = train(problem, [watching], CONFIG, QUIET)
    for name, value in resumed.parameters.items():
        assert torch.equal(value, again.parameters[name])
    assert undisturbed.num_models == 1


def test_a_label_that_is_nan_is_named_before_training() -> None:
    given = toy_inputs()
    targets = given.targets.clone()
    targets[7, 1] = torch.inf
    with pytest.raises(InputError, match="the label of clip 'clip7' is NaN or infinite"):
        replace(given, targets=targets)
