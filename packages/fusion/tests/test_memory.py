"""When the device runs out of memory: smaller pieces, the same numbers."""

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.network import Batch, Outputs
from blended.fusion.objective import LossConfig
from blended.fusion.plan import Job
from blended.fusion.run import Surroundings
from blended.fusion.strategies.pooled import Concatenation, pooled_problem
from blended.fusion.training import Problem, Trained, train
from toys.problems import QUIET, toy_inputs

JOBS = [Job(np.arange(1, 47), 3, 1, 0.02), Job(np.arange(20, 90), 3, 2, 0.02)]


def problem(config: TrainingConfig, fits: int, inputs: object = None) -> Problem:
    """A device that holds so many clips per model in a training pass."""

    class Hungry(Concatenation):
        def forward(self, batch: Batch, uniform: torch.Tensor | None = None) -> Outputs:
            if torch.is_grad_enabled() and len(batch["present"]) > fits:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(batch, uniform)

    return pooled_problem(inputs or toy_inputs(), ("ear", "eye"), "training", config, None, Hungry)


def trained(config: TrainingConfig, fits: int, inputs: object = None) -> tuple[Trained, list[str]]:
    messages: list[str] = []
    return train(problem(config, fits, inputs), JOBS, config, Surroundings(messages.append)), messages


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dropout": 0.3, "loss": LossConfig(r_drop=0.3, balance=0.5), "modality_dropout": 0.3},
        {"scores": "set-ratio", "ema": 0.5, "clip_norm": 0.1},
    ],
)
def test_batches_in_pieces_give_the_same_models(changes: dict) -> None:
    config = TrainingConfig(batch_size=20, hidden=4).model_copy(update=changes)
    whole, silent = trained(config, 20)
    pieces, messages = trained(config, 7)
    assert not [message for message in silent if "memory" in message]
    assert messages[:2] == [
        f"the device ran out of memory: batches are computed in {n} pieces from now on" for n in (2, 4)
    ]
    rows = np.arange(120)
    for key, values in whole.predict_all(rows).items():
        np.testing.assert_allclose(pieces.predict_all(rows)[key], values, atol=1e-6)


def test_mixing_in_pieces_reaches_no_clip_that_is_left_out() -> None:
    config = TrainingConfig(batch_size=20, mixup=1.0)
    spoilt = toy_inputs()
    spoilt.features["ear"][0] = 1e6
    spoilt.targets[0] = spoilt.targets[0].roll(1)
    ours, theirs = (trained(config, 7, given)[0].parameters for given in (toy_inputs(), spoilt))
    for name, value in ours.items():
        assert torch.equal(value, theirs[name])


def test_a_clip_that_does_not_fit_is_an_error() -> None:
    config = TrainingConfig(batch_size=20)
    with pytest.raises(
        InputError,
        match=r"memory does not hold one clip of every model: choose a smaller network, shorter clips \(max",
    ):
        train(problem(config, 0), JOBS, config, QUIET)
