"""The plan of a training: which clips a model sees when, and every random draw.

All of it is a function of the model's seed and the epoch, so that a model is trained alike alone, among
others, after an interruption, here and on a cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Streams of random numbers; a new use takes a new number so that the others stay as they are.
DROPOUT_STREAM, MIXUP_STREAM, MODALITY_STREAM = range(1, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One model to train: on which rows, for how long, watched on which rows."""

    rows: Int[np.ndarray, "train"]
    """Rows of the features to train on."""
    epochs: int
    seed: int
    learning_rate: float
    watched: Int[np.ndarray, "watched"] | None = None
    """Rows whose loss is recorded after every epoch; never rows of the fold that is reported."""
    recorded: Int[np.ndarray, "recorded"] | None = None
    """Rows that are predicted after some epochs, for others to be judged by: nothing here depends on them."""
    recorded_epochs: tuple[int, ...] = ()
    """After which epochs, from 1."""


def num_batches(job: Job, batch_size: int) -> int:
    """Batches of one epoch of a model."""
    return -(-len(job.rows) // batch_size)


def batches_of_epoch(jobs: Sequence[Job], epoch: int, batch_size: int) -> Int[np.ndarray, "batch M B"]:
    """Rows of every batch, -1 where a model has run out of clips or of epochs."""
    most = max(num_batches(job, batch_size) for job in jobs)
    plan = np.full((len(jobs), most * batch_size), -1, dtype=np.int64)
    for model, job in enumerate(jobs):
        if epoch < job.epochs:
            order = np.random.default_rng((job.seed, epoch)).permutation(len(job.rows))
            plan[model, : len(job.rows)] = job.rows[order]
    return plan.reshape(len(jobs), most, batch_size).swapaxes(0, 1)


@dataclass(frozen=True, slots=True)
class Draws:
    """The random draws of one batch, per model."""

    jobs: Sequence[Job]
    epoch: int
    batch: int
    device: torch.device

    def _generators(self, stream: int) -> list[np.random.Generator]:
        place = (self.epoch, stream, self.batch)
        return [np.random.default_rng((job.seed, *place)) for job in self.jobs]

    def uniform(self, num_clips: int, width: int, turn: int = 0) -> Float[Tensor, "M B width"]:
        """Uniform in [0, 1), for dropout; `turn` tells several passes over one batch apart."""
        drawn = [
            generator.random((turn + 1, num_clips, width), dtype=np.float32)[turn]
            for generator in self._generators(DROPOUT_STREAM)
        ]
        return torch.from_numpy(np.stack(drawn)).to(self.device)

    def mixup(
        self, rows_MB: Int[np.ndarray, "M B"], alpha: float
    ) -> tuple[Int[Tensor, "M B"], Float[Tensor, "M 1"]]:
        """Partner of every clip within its batch, and the share of the clip itself, at least one half.

        Clips beyond a model's last are their own partners.
        """
        partners, shares = np.tile(np.arange(rows_MB.shape[1]), (len(self.jobs), 1)), []
        for model, generator in enumerate(self._generators(MIXUP_STREAM)):
            share = generator.beta(alpha, alpha)
            shares.append([max(share, 1 - share)])
            num_clips = int((rows_MB[model] >= 0).sum())
            partners[model, :num_clips] = generator.permutation(num_clips)
        share_M1 = torch.tensor(shares, dtype=torch.float32, device=self.device)
        return torch.from_numpy(partners).to(self.device), share_M1

    def kept_modalities(self, num_clips: int, num_modalities: int, rate: float) -> Bool[Tensor, "M B K"]:
        """False where a modality is hidden: of a share `rate` of the clips one modality, chosen evenly."""
        kept = np.ones((len(self.jobs), num_clips, num_modalities), dtype=bool)
        for model, generator in enumerate(self._generators(MODALITY_STREAM)):
            hit = generator.random(num_clips) < rate
            hidden = generator.integers(num_modalities, size=num_clips)
            kept[model, np.flatnonzero(hit), hidden[hit]] = False
        return torch.from_numpy(kept).to(self.device)


def inner_fold(fold: int, folds: Sequence[int]) -> int:
    """The fold on which the model reported on `fold` chooses its epochs: the next one, cyclically."""
    return folds[(folds.index(fold) + 1) % len(folds)]


def model_seed(seed: int, fold: int, repeat: int = 0) -> int:
    """A seed per model, independent of which other models are trained."""
    entropy = (seed, fold + 1) if repeat == 0 else (seed, fold + 1, repeat)
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])
