"""An interrupted training ends with the same numbers; what does not belong to it is not continued."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from blended.data import InputError, LabelSpace
from blended.fusion.config import TrainingConfig
from blended.fusion.plan import Job
from blended.fusion.run import NAME, Surroundings
from blended.fusion.training import Trained, train
from toys.problems import TOY_NAMES, TOY_STATES, quiet, toy_inputs, toy_problem

SCRIPT = Path(__file__).with_name("resumed_training.py")
CONFIG = TrainingConfig(batch_size=16, max_epochs=6)
JOBS = [Job(np.arange(60), 3, 1, 0.02, np.arange(60, 90)), Job(np.arange(30, 90), 3, 2, 0.02)]


def start(folder: Path, result: Path, seconds_per_save: float) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), str(folder), str(result), str(seconds_per_save)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def kill_after(process: subprocess.Popen, line: str, times: int) -> list[str]:
    """Waits for the line for so many times, kills -9, and returns all that was said."""
    said: list[str] = []
    assert process.stdout is not None
    for heard in process.stdout:
        said.append(heard.strip())
        if sum(line in one for one in said) == times:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    return said + [heard.strip() for heard in process.stdout]


def finish(process: subprocess.Popen) -> list[str]:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return said.splitlines()


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    """While a checkpoint is half written, and between two, after epochs drawn by chance."""
    undisturbed = start(tmp_path / "whole", tmp_path / "whole.safetensors", 0)
    rng = np.random.default_rng()
    moments = [("writing", int(rng.integers(2, 8))), ("epoch", int(rng.integers(1, 12)))]
    folder, result = tmp_path / "cut", tmp_path / "cut.safetensors"
    for number, (line, times) in enumerate(moments):
        said = kill_after(start(folder, result, 0.2 if line == "writing" else 0), line, times)
        assert not result.exists(), said
        assert any("continuing after" in one for one in said) == (number > 0), said
    said = finish(start(folder, result, 0))
    assert "continuing after" in said[0]
    finish(undisturbed)
    whole, cut = load_file(tmp_path / "whole.safetensors"), load_file(result)
    assert whole.keys() == cut.keys() and len(whole) > 3
    for name, value in whole.items():
        assert torch.equal(value.nan_to_num(-1), cut[name].nan_to_num(-1)), (name, moments)
    # The model that was given up by its patience is among them.
    assert whole["watched"][1].isnan().any() and not whole["watched"][0].isnan().all()


def stopped_after(epochs: int, folder: Path, config: TrainingConfig = CONFIG) -> None:
    """An interrupted training."""

    def stop(epoch: object) -> None:
        if getattr(epoch, "number", 0) == epochs + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run = Surroundings(quiet, stop, folder, checkpoint_seconds=0)
        train(toy_problem(config), JOBS, config, run)


def messages_of(folder: Path, **changes: object) -> tuple[list[str], Trained]:
    said: list[str] = []
    given = {"config": CONFIG, "jobs": JOBS, "inputs": toy_inputs()} | changes
    problem = toy_problem(given["config"], inputs=given["inputs"])
    return said, train(problem, given["jobs"], given["config"], Surroundings(said.append, None, folder))


EVERYTHING = CONFIG.model_copy(
    update={"hidden": 4, "dropout": 0.2, "mixup": 0.3, "ema": 0.9, "clip_norm": 0.1, "schedule": "cosine"}
)


@pytest.mark.parametrize("config", [CONFIG, EVERYTHING])
@pytest.mark.parametrize("epochs", [1, 2])
def test_it_goes_on_where_it_was(tmp_path: Path, config: TrainingConfig, epochs: int) -> None:
    stopped_after(epochs, tmp_path, config)
    said, resumed = messages_of(tmp_path, config=config)
    assert said[0] == f"continuing after {epochs} epochs from {tmp_path}"
    whole = train(toy_problem(config), JOBS, config, Surroundings(quiet))
    for name, value in whole.parameters.items():
        assert torch.equal(value, resumed.parameters[name]), name
    np.testing.assert_array_equal(whole.watched_loss, resumed.watched_loss)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    _, first = messages_of(tmp_path)
    said, second = messages_of(tmp_path)
    assert said == [f"trained before, read from {tmp_path}"]
    for name, value in first.parameters.items():
        assert torch.equal(value, second.parameters[name])


OTHERS = {
    "config": {"config": CONFIG.model_copy(update={"weight_decay": 0.3})},
    "shapes": {"config": CONFIG.model_copy(update={"hidden": 3})},
    "rows": {"jobs": [replace(JOBS[0], rows=np.arange(1, 61)), JOBS[1]]},
    "seed": {"jobs": [replace(JOBS[0], seed=9), JOBS[1]]},
    "rate": {"jobs": [replace(JOBS[0], learning_rate=0.03), JOBS[1]]},
    "watched": {"jobs": [replace(JOBS[0], watched=np.arange(61, 90)), JOBS[1]]},
    "labels": {"inputs": replace(toy_inputs(), targets=toy_inputs().targets.roll(1, dims=1))},
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_something_else_is_not_continued(tmp_path: Path, name: str) -> None:
    stopped_after(1, tmp_path)
    said, _ = messages_of(tmp_path, **OTHERS[name])
    assert not [one for one in said if "continuing" in one]


def test_a_checkpoint_of_another_label_order_is_refused(tmp_path: Path) -> None:
    stopped_after(1, tmp_path)
    before = (tmp_path / NAME).read_bytes()
    turned = replace(toy_inputs(), space=LabelSpace(TOY_NAMES[::-1], states=TOY_STATES))
    said = f"was trained for {', '.join(TOY_NAMES)}, in this order, and .* {', '.join(TOY_NAMES[::-1])}: name"
    with pytest.raises(InputError, match=said):
        messages_of(tmp_path, inputs=turned)
    assert (tmp_path / NAME).read_bytes() == before


DAMAGES = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[:-9],
    "text": lambda whole: b"not a checkpoint at all",
    "a flipped bit of a weight": lambda whole: whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:],
    "another epoch": lambda whole: whole.replace(b'"epoch":"1"', b'"epoch":"2"'),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_not_continued(tmp_path: Path, damage: str) -> None:
    stopped_after(1, tmp_path)
    path = tmp_path / NAME
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    assert path.read_bytes() != whole
    said, again = messages_of(tmp_path)
    assert re.search(r"training\.safetensors is damaged.* it is not continued, .* begins anew", said[0])
    assert not [one for one in said if "continuing" in one]
    undisturbed = train(toy_problem(CONFIG), JOBS, CONFIG, Surroundings(quiet))
    for name, value in undisturbed.parameters.items():
        assert torch.equal(value, again.parameters[name]), name
