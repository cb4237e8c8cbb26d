"""Pre-training: the published loss, learning, exact continuation, several processes as one, and its file."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from blended.data import InputError
from blended.encoders.networks.hicmae.pretrain import AUDIO_RATIO, VIDEO_RATIO, hidden_of_draws
from blended.encoders.networks.hicmae.targets import PretrainLossConfig, pretraining_targets
from blended.fusion import optimiser
from blended.fusion.config import TrainingConfig
from blended.fusion.hicmae.clips import MediaSource
from blended.fusion.hicmae.finetuning import load_start
from blended.fusion.hicmae.network import (
    HiCMAEFusion,
    MaskedNetwork,
    MaskedObjective,
    hierarchical_contrast,
    network_inputs,
)
from blended.fusion.hicmae.pretraining import (
    PretrainingConfig,
    pretrain,
    pretrained_on,
    weights_of,
    write_pretrained,
)
from blended.fusion.inputs import PICTURES, SOUND
from blended.fusion.objective import LossConfig
from blended.fusion.parallel import ALONE, Parallel
from blended.fusion.run import Batched, Surroundings
from blended.fusion.training import Trained
from toys.hicmae_loss import pretraining_loss
from toys.media import TOY_BACKBONE, toy_hicmae, toy_media
from toys.problems import QUIET, SINGLE_SPACE, quiet

SCRIPT = Path(__file__).with_name("pretraining_process.py")
CPU = torch.device("cpu")
STEADY = 1e-4
"""Adam's epsilon where what rounding does is not to be made larger."""
TRAINING = TrainingConfig(learning_rate=5e-3, weight_decay=0.05, beta2=0.95, batch_size=16, max_epochs=8)
CONFIG = PretrainingConfig(size=TOY_BACKBONE, windows=2, training=TRAINING)
MEDIA = toy_media(np.eye(4)[np.arange(32) % 4])


def losses_while(config: PretrainingConfig, pieces: int = 1) -> tuple[list[float], Trained]:
    losses: list[float] = []

    def tell(done: Batched) -> None:
        losses.append(float(done.losses_A[0]))

    trained = pretrain(config, MEDIA, SINGLE_SPACE, 0, Surroundings(quiet, on_batch=tell), CPU, pieces=pieces)
    return losses, trained


def apart(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> float:
    """How far two networks are from each other, of their size.

    To be used where Adam's epsilon is `STEADY`: with the usual 1e-8 a weight whose gradient is next to
    nothing moves by the sign of a rounding error, and the same two networks are 1e-4 apart instead of 3e-8.
    """
    assert first.keys() == second.keys()
    pairs = [(first[name].flatten(), second[name].flatten()) for name in first]
    one, other = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return float((one - other).norm() / one.norm())


def test_the_loss_is_the_published_one() -> None:
    """Errors per clip, as the loop weighs them, add up to the loss of whole batches."""
    torch.manual_seed(0)
    network = MaskedNetwork(CONFIG.network, PretrainLossConfig(), ALONE)
    batch = {
        k: v[0] for k, v in MediaSource(MEDIA, CPU).batch(torch.tensor([0]), torch.arange(5)[None]).items()
    }
    uniform = torch.rand(5, network.noise_width)
    outputs = network(batch, uniform)
    objective = MaskedObjective(LossConfig(), SINGLE_SPACE, False, None, 0.0025, ALONE)
    ours = objective(outputs, {}, torch.ones(5), batch["present"])

    window = (uniform[:, 0] * 2).long()
    picked = {name: batch[name][torch.arange(5), window].unsqueeze(1) for name in (PICTURES, SOUND)}
    video, audio = network_inputs(picked[PICTURES], picked[SOUND], batch["present"])
    places = TOY_BACKBONE.video_grid[1] * TOY_BACKBONE.video_grid[2]
    masks = (
        hidden_of_draws(uniform[:, 1 : 1 + places], VIDEO_RATIO).repeat(1, TOY_BACKBONE.video_grid[0]),
        hidden_of_draws(uniform[:, 1 + places :], AUDIO_RATIO),
    )
    made = network.autoencoder(video, audio, *masks)
    loss = PretrainLossConfig()
    targets = pretraining_targets(video, audio, *masks, TOY_BACKBONE, loss)
    published = pretraining_loss(made.video, made.audio, made.logits_per_video, targets, 2, loss)
    torch.testing.assert_close(ours, published.total)


def test_clips_without_weight_are_nobodys_choice() -> None:
    logits = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1.0, 1, 1, 0, 0])
    torch.testing.assert_close(
        hierarchical_contrast(logits, weights), hierarchical_contrast(logits[:, :3, :3], torch.ones(3))
    )


def test_it_lowers_the_loss_and_goes_into_fine_tuning_whole(tmp_path: Path) -> None:
    losses, trained = losses_while(CONFIG)
    assert np.mean(losses[-4:]) < 0.75 * np.mean(losses[:2])
    path = tmp_path / "weights.safetensors"
    write_pretrained(path, trained, CONFIG, ["demo"], "hash")
    assert pretrained_on(path) == ("demo",)
    state = load_file(path)
    assert state.keys() == weights_of(trained).keys()
    classifier = HiCMAEFusion(TOY_BACKBONE, 1.0, 0).classifier
    new = load_start(classifier, state, str(path))
    own = classifier.state_dict()
    assert {name for name in own if name not in state} == set(new)
    for name in own.keys() - set(new):
        assert torch.equal(own[name], state[name]), name
    assert toy_hicmae(checkpoint=str(path)).checkpoint_corpora == ("demo",)


def test_accumulated_gradients_without_contrast_are_those_of_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optimiser, "EPSILON", STEADY)
    config = CONFIG.model_copy(
        update={"contrastive_weight": 0, "training": TRAINING.model_copy(update={"max_epochs": 2})}
    )
    whole, first = losses_while(config)
    parts, second = losses_while(config, pieces=4)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert apart(weights_of(first), weights_of(second)) < 1e-6


def test_bfloat16_keeps_to_the_path_of_float32() -> None:
    brief = TRAINING.model_copy(update={"max_epochs": 2})
    exact, _ = losses_while(CONFIG.model_copy(update={"training": brief}))
    half, trained = losses_while(
        CONFIG.model_copy(update={"training": brief.model_copy(update={"amp": "bfloat16"})})
    )
    np.testing.assert_allclose(half, exact, rtol=0.03)
    assert half != exact
    assert all(value.dtype == torch.float32 for value in weights_of(trained).values())


def test_clips_that_lack_a_track_are_left_out() -> None:
    mute = replace(MEDIA, has_sound=np.zeros(32, dtype=bool))
    with pytest.raises(InputError, match="no clip has both pictures and sound: pre-training needs both"):
        pretrain(CONFIG, mute, SINGLE_SPACE, 0, QUIET, CPU)


def test_uneven_shares_are_refused() -> None:
    with pytest.raises(InputError, match="batches of 9 clips cannot be shared evenly by 2 processes"):
        Parallel(0, 2).columns(9)
    assert Parallel(1, 2).columns(8) == slice(4, 8)


def start(folder: Path, result: Path, launcher: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, *launcher, str(SCRIPT), str(folder), str(result)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> list[str]:
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return said.splitlines()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
def test_two_processes_train_as_one_and_a_killed_one_goes_on(tmp_path: Path) -> None:
    """Half of every batch each, contrasted with all of it; and kill -9 after epochs drawn by chance."""
    alone = start(tmp_path / "a", tmp_path / "alone.safetensors", [])
    said = [line for line in finish(alone) if line.startswith("loss")]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    two = start(tmp_path / "b", tmp_path / "two.safetensors", launcher)
    losses_of_two = [float(line.split()[1]) for line in finish(two) if line.startswith("loss")]
    losses = [float(line.split()[1]) for line in said]
    assert len(losses) == 18
    np.testing.assert_allclose(losses_of_two, losses, atol=1e-5)
    whole, shared = (load_file(tmp_path / f"{name}.safetensors") for name in ("alone", "two"))
    assert apart(whole, shared) < 1e-6

    moment = int(np.random.default_rng().integers(2, 15))
    killed = start(tmp_path / "c", tmp_path / "cut.safetensors", [])
    assert killed.stdout is not None
    for number, _ in enumerate(killed.stdout):
        if number == moment:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "cut.safetensors").exists()
    finish(start(tmp_path / "c", tmp_path / "cut.safetensors", []))
    cut = load_file(tmp_path / "cut.safetensors")
    for name, value in whole.items():
        assert torch.equal(value, cut[name]), (name, moment)
