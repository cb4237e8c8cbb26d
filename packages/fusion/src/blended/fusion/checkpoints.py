"""The state of a training on disk: written whole or not at all, and continued exactly.

Every random draw is a function of seed and epoch (`plan`), so that parameters, moments and the number of the
epoch are all there is to keep.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.data.checksums import DamagedError, check_seal, write_tensors
from blended.fusion.config import TrainingConfig
from blended.fusion.optimiser import Parameters
from blended.fusion.plan import Job

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
