"""The one training loop: many heads at once on rows of one feature matrix.

M models, N clips in all, B clips per batch, D feature width, E emotions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.data import InputError
from blended.fusion import heads
from blended.fusion.losses import kl_to_soft_labels

Log = Callable[[str], None]

# A feature that never varies on the training part carries nothing; dividing by its spread would blow up.
SMALLEST_SPREAD = 1e-6


class TrainingConfig(BaseModel):
    """How heads are trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(default=0, ge=0)
    """Hidden units of the MLP; 0 for a linear head."""
    learning_rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=1.0, ge=0)
    """Decoupled (AdamW), per step times the learning rate."""
    batch_size: int = Field(default=128, ge=1)
    max_epochs: int = Field(default=60, ge=1)
    """The number of epochs is chosen up to this on an inner fold."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One model to train: on which rows, for how long, watched on which rows."""

    rows: Int[np.ndarray, "train"]
    """Rows of the feature matrix to train on."""
    epochs: int
    seed: int
    watched: Int[np.ndarray, "watched"] | None = None
    """Rows whose loss is recorded after every epoch; never rows of the fold that is reported."""


@dataclass(frozen=True, slots=True, eq=False)
class Standardiser:
    """Mean and spread of each model's training rows."""

    mean_MD: Float[Tensor, "M D"]
    spread_MD: Float[Tensor, "M D"]

    def __call__(self, x_MBD: Float[Tensor, "M B D"]) -> Float[Tensor, "M B D"]:
        """Standardised features."""
        return (x_MBD - self.mean_MD[:, None]) / self.spread_MD[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """M trained models."""

    parameters: heads.Parameters
    """Of a watched model, as they were after its best epoch; of the others, after their last."""
    standardise: Standardiser
    watched_loss: Float[np.ndarray, "M epoch"]
    """Mean KL on the watched rows after every epoch; NaN where nothing is watched."""

    def predict(self, x_ND: Float[Tensor, "N D"]) -> Float[np.ndarray, "M N E"]:
        """Probabilities of every model for every row."""
        num_models = len(self.standardise.mean_MD)
        chunks: list[Tensor] = []
        with torch.no_grad():
            for x_BD in x_ND.split(1024):
                x_MBD = self.standardise(x_BD.expand(num_models, *x_BD.shape))
                chunks.append(heads.forward(self.parameters, x_MBD).softmax(dim=-1))
        return torch.cat(chunks, dim=1).double().cpu().numpy()


def fit_standardiser(x_ND: Float[Tensor, "N D"], jobs: Sequence[Job]) -> Standardiser:
    """Mean and standard deviation over each model's own training rows."""
    means: list[Tensor] = []
    spreads: list[Tensor] = []
    for job in jobs:
        x = x_ND[torch.as_tensor(job.rows, device=x_ND.device)]
        spread = x.std(dim=0, correction=0)
        means.append(x.mean(dim=0))
        spreads.append(torch.where(spread > SMALLEST_SPREAD, spread, 1.0))
    return Standardiser(torch.stack(means), torch.stack(spreads))


def batches_of_epoch(jobs: Sequence[Job], epoch: int, batch_size: int) -> Int[np.ndarray, "batch M B"]:
    """Rows of every batch, -1 where a model has run out of clips or of epochs.

    A model's order of clips depends on its seed and the epoch alone, so that a model is trained alike
    alone, among others, here and on a cluster.
    """
    num_batches = max(-(-len(job.rows) // batch_size) for job in jobs)
    plan = np.full((len(jobs), num_batches * batch_size), -1, dtype=np.int64)
    for model, job in enumerate(jobs):
        if epoch < job.epochs:
            order = np.random.default_rng((job.seed, epoch)).permutation(len(job.rows))
            plan[model, : len(job.rows)] = job.rows[order]
    return plan.reshape(len(jobs), num_batches, batch_size).swapaxes(0, 1)


def train(
    x_ND: Float[Tensor, "N D"],
    targets_NE: Float[Tensor, "N E"],
    jobs: Sequence[Job],
    config: TrainingConfig,
    log: Log,
) -> Trained:
    """Trains one head per job, all at once.

    A watched model is trained to the end but keeps the parameters of the epoch with the smallest watched
    loss (the first, on a tie).
    Raises InputError when a loss is no longer finite, with the epoch.
    """
    standardise = fit_standardiser(x_ND, jobs)
    parameters = heads.initial_parameters(
        x_ND.shape[1], config.hidden, targets_NE.shape[1], [job.seed for job in jobs], x_ND.device
    )
    best = {name: value.clone() for name, value in parameters.items()}
    for value in parameters.values():
        value.requires_grad_(True)
    optimiser = AdamW(parameters, config)
    num_epochs = max(job.epochs for job in jobs)
    watched_loss = np.full((len(jobs), num_epochs), np.nan)
    for epoch in range(num_epochs):
        for rows_MB in batches_of_epoch(jobs, epoch, config.batch_size):
            _step(x_ND, targets_NE, torch.as_tensor(rows_MB, device=x_ND.device), standardise, optimiser)
        watched_loss[:, epoch] = _watched(x_ND, targets_NE, jobs, standardise, parameters)
        keep = torch.as_tensor(_improved(watched_loss, epoch), device=x_ND.device)[:, None, None]
        best = {name: torch.where(keep, value.detach(), best[name]) for name, value in parameters.items()}
        if not all(bool(value.isfinite().all()) for value in parameters.values()):
            raise InputError(
                f"training diverged in epoch {epoch + 1} (weights are NaN or infinite): lower the learning "
                f"rate from {config.learning_rate:g}"
            )
    log(f"trained {len(jobs)} models for up to {num_epochs} epochs")
    return Trained(best, standardise, watched_loss)


def _improved(watched_loss: Float[np.ndarray, "M epoch"], epoch: int) -> Bool[np.ndarray, "M"]:
    """Whose parameters after this epoch are to be kept: always, where nothing is watched."""
    now, before = watched_loss[:, epoch], watched_loss[:, :epoch]
    return np.isnan(now) | (now < np.min(before, axis=1, initial=np.inf))


class AdamW:
    """AdamW (arXiv 1711.05101) on stacked parameters, with a step counter per model.

    torch.optim counts steps per tensor; here models of one tensor stop after different numbers of steps
    and must then stay exactly as they are.
    """

    def __init__(self, parameters: heads.Parameters, config: TrainingConfig) -> None:
        self.parameters = parameters
        self.config = config
        self.first = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in parameters.items()}
        any_value = next(iter(parameters.values()))
        self.steps = torch.zeros(len(any_value), 1, 1, device=any_value.device)

    @torch.no_grad()
    def step(self, active_M: Tensor, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        """Updates the active models from `.grad`; the others, at weight 0, stay exactly as they are.

        In place and with one temporary: on a CPU these passes over memory are most of a step's time.
        """
        active = active_M[:, None, None].to(self.steps.dtype)
        self.steps += active
        steps, rate = self.steps.clamp(min=1), self.config.learning_rate * active
        step_size, root = rate / (1 - beta1**steps), (1 - beta2**steps).sqrt()
        for name, value in self.parameters.items():
            gradient = value.grad
            assert gradient is not None
            first = self.first[name].lerp_(gradient, (1 - beta1) * active)
            second = self.second[name].lerp_(gradient.square_(), (1 - beta2) * active)
            spread = torch.sqrt(second, out=gradient).div_(root).add_(eps)
            if name.startswith("weight"):
                value.mul_(1 - rate * self.config.weight_decay)
            value.sub_(torch.div(first, spread, out=spread).mul_(step_size))
            value.grad = None


def _step(
    x_ND: Tensor, targets_NE: Tensor, rows_MB: Tensor, standardise: Standardiser, optimiser: AdamW
) -> None:
    present_MB = rows_MB >= 0
    num_present = present_MB.sum(dim=1)
    rows = rows_MB.clamp(min=0)
    logits = heads.forward(optimiser.parameters, standardise(x_ND[rows]))
    losses_MB = kl_to_soft_labels(logits, targets_NE[rows])
    loss = (losses_MB * present_MB).sum(dim=1) / num_present.clamp(min=1)
    loss.sum().backward()
    optimiser.step(num_present > 0)


@torch.no_grad()
def _watched(
    x_ND: Tensor,
    targets_NE: Tensor,
    jobs: Sequence[Job],
    standardise: Standardiser,
    parameters: heads.Parameters,
) -> Float[np.ndarray, "M"]:
    """Mean KL of every model on its watched rows."""
    losses = np.full(len(jobs), np.nan)
    for model, job in enumerate(jobs):
        if job.watched is None:
            continue
        rows = torch.as_tensor(job.watched, device=x_ND.device)
        one = {name: value[model : model + 1] for name, value in parameters.items()}
        mean, spread = standardise.mean_MD[model : model + 1], standardise.spread_MD[model : model + 1]
        logits = heads.forward(one, Standardiser(mean, spread)(x_ND[rows][None]))
        losses[model] = float(kl_to_soft_labels(logits[0], targets_NE[rows]).mean())
    return losses
