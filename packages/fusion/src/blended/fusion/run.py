"""What surrounds a training and does not change its result: who is told of it, and its state on disk.

The state is written whole or not at all, and continued exactly. Every random draw is a function of seed and
epoch (`plan`), so that parameters, moments and the number of the epoch are all there is to keep.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.data.checksums import DamagedError, check_seal, write_tensors
from blended.fusion.config import TrainingConfig
from blended.fusion.optimiser import Parameters
from blended.fusion.plan import Job

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """What the models of the inner folds say after an epoch."""

    number: int
    """From 1, over all stages of a strategy."""
    watched: Sequence[tuple[Int[np.ndarray, "W"], Float[np.ndarray, "W E"]]]
    """Per model that is still trained: its watched clips, and its probabilities for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Batched:
    """A step that was taken."""

    epoch: int
    """Epochs done before it."""
    batch: int
    """From 0, within the epoch."""
    num_batches: int
    """Of the epoch."""
    losses_A: Float[Tensor, "A"]
    """Of every model that is still trained, on the device."""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Callbacks and folders."""

    log: Log
    on_epoch: Callable[[Epoch], None] | None = None
    """Called after every epoch of models that are watched; may raise to end the training."""
    checkpoints: Path | None = None
    """Folder from which an interrupted training goes on; None for no checkpoints."""
    checkpoint_seconds: float | int = 20
    """Training that is lost at most; 0 to write one after every epoch."""
    first_epoch: int = 0
    """Epochs of earlier stages."""
    on_batch: Callable[[Batched], None] | None = None
    """Called after every step."""

    def stage(self, name: str, epochs_before: int = 0) -> "Surroundings":
        """The surroundings of a part of the training, with checkpoints of its own."""
        folder = None if self.checkpoints is None else self.checkpoints / name
        return replace(self, checkpoints=folder, first_epoch=self.first_epoch + epochs_before)


NAME = "training.safetensors"
GROUPS = ("parameters", "first", "second", "average", "best")
RECORDED = "recorded"

Recorded = dict[int, dict[str, np.ndarray]]
"""Place of a job -> kind of prediction -> [epoch, clip, column]: what its model said of `Job.recorded` after
each of `Job.recorded_epochs`; NaN after epochs that it did not have."""


@dataclass(slots=True, eq=False)
class Progress:
    """A training after some epochs. A models are still trained, of M."""

    epoch: int
    """Epochs done."""
    places: list[int]
    """Job of every model that is still trained."""
    parameters: Parameters
    """[A, ...]; first, second and average likewise."""
    first: Parameters
    second: Parameters
    average: Parameters
    steps_A: Float[Tensor, "A"]
    best: Parameters
    """[M, ...]: what is kept of every model."""
    watched_loss: Float[np.ndarray, "M epoch"]
    pieces: int
    """Parts that a batch is cut into: the order of a sum is part of its last bit."""
    recorded: Recorded = field(default_factory=Recorded)


@dataclass(frozen=True, slots=True)
class Origin:
    """Which training a checkpoint belongs to."""

    emotions: tuple[str, ...]
    """In the order of the columns."""
    fingerprint: str
    """SHA-256 over all that must agree: labels, config, jobs and shapes. Not the features: a folder of
    checkpoints belongs to one set of them."""


def origin_of(
    jobs: Sequence[Job], config: TrainingConfig, shapes: Parameters, space: LabelSpace, values_NE: Tensor
) -> Origin:
    """The origin of what these jobs write."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    states = [state.name for state in space.states]
    digest.update(json.dumps([space.task, space.emotions, states]).encode())
    digest.update(values_NE.cpu().contiguous().numpy().tobytes())
    digest.update(json.dumps({name: list(value.shape) for name, value in shapes.items()}).encode())
    for job in jobs:
        digest.update(np.array([job.epochs, job.seed], dtype=np.int64).tobytes())
        digest.update(np.float64(job.learning_rate).tobytes())
        digest.update(job.rows.astype(np.int64).tobytes())
        digest.update(b"" if job.watched is None else job.watched.astype(np.int64).tobytes())
        if job.recorded is not None:
            digest.update(b"recorded" + job.recorded.astype(np.int64).tobytes())
            digest.update(json.dumps(job.recorded_epochs).encode())
    return Origin(space.emotions, digest.hexdigest())


def write_progress(folder: Path, progress: Progress, origin: Origin) -> None:
    """Writes `training.safetensors`."""
    tensors = {
        f"{group}/{name}": value.detach().cpu().numpy()
        for group in GROUPS
        for name, value in getattr(progress, group).items()
    }
    tensors["steps"] = progress.steps_A.cpu().numpy()
    tensors["watched_loss"] = progress.watched_loss
    for place, said in progress.recorded.items():
        tensors |= {f"{RECORDED}/{place}/{kind}": values for kind, values in said.items()}
    metadata = {
        "emotions": json.dumps(origin.emotions),
        "fingerprint": origin.fingerprint,
        "epoch": str(progress.epoch),
        "places": json.dumps(progress.places),
        "pieces": str(progress.pieces),
    }
    write_tensors(folder / NAME, tensors, metadata)


def read_progress(
    folder: Path, origin: Origin, device: torch.device, log: Callable[[str], None]
) -> Progress | None:
    """What was written, if it belongs to this training; None where there is nothing to continue.

    A damaged file is none, which is said: the training then begins anew, with the same numbers in the end.
    Raises InputError for one of other emotions or another order of them, which would be lost by that.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        check_seal(path)
    except DamagedError as damage:
        log(f"{damage}; it is not continued, and the training begins anew")
        return None
    with safe_open(path, framework="pt", device=str(device)) as file:
        metadata = file.metadata() or {}
        # Copies: sums over memory that is aligned otherwise may differ in their last bit.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
    emotions = tuple(json.loads(metadata.get("emotions", "[]")))
    if emotions != origin.emotions:
        raise InputError(
            f"the checkpoint {path} was trained for {', '.join(emotions)}, in this order, and these clips "
            f"have {', '.join(origin.emotions)}: name another folder for checkpoints, or delete it"
        )
    if metadata.get("fingerprint") != origin.fingerprint:
        return None
    groups: dict[str, Parameters] = {group: {} for group in GROUPS}
    recorded: Recorded = {}
    for name, value in tensors.items():
        group, _, parameter = name.partition("/")
        if group in groups:
            groups[group][parameter] = value
        elif group == RECORDED:
            place, _, kind = parameter.partition("/")
            recorded.setdefault(int(place), {})[kind] = value.cpu().numpy()
    return Progress(
        epoch=int(metadata["epoch"]),
        places=json.loads(metadata["places"]),
        steps_A=tensors["steps"],
        watched_loss=tensors["watched_loss"].cpu().numpy(),
        pieces=int(metadata["pieces"]),
        recorded=recorded,
        **groups,
    )
