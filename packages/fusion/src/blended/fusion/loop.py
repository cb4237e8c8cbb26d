"""The state of a training and one epoch of it.

M models, A of them still trained, B clips per batch. A model leaves the stack when it has had its epochs or
its patience has run out, so that the others go on faster and it stays exactly as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.network import Network, Outputs
from blended.fusion.objective import Objective, Targets
from blended.fusion.optimiser import AdamW, Parameters, rate_factor
from blended.fusion.parallel import ALONE, Parallel
from blended.fusion.passes import Step, losses_of, outputs_of, per_model, predictions_of
from blended.fusion.plan import Draws, Job, batches_of_epoch, num_batches
from blended.fusion.run import Batched, Epoch, Progress, Recorded, Surroundings
from blended.fusion.sources import BatchSource


@dataclass(slots=True, eq=False)
class Loop:
    """A training in progress."""

    jobs: Sequence[Job]
    config: TrainingConfig
    source: BatchSource
    network: Network
    targets: Targets
    objective: Objective
    optimiser: AdamW
    places: list[int]
    """Job of every model that is still trained."""
    best: Parameters
    """[M, ...]."""
    watched_loss: Float[np.ndarray, "M epoch"]
    weights_MN: Float[Tensor, "M N"]
    """Weight of every clip in the loss of every model."""
    epochs_done: int = 0
    pieces: int = 1
    """Parts that a batch is cut into, from the start or after memory ran out."""
    parallel: Parallel = ALONE
    by_length: int = 1
    """See `Step`."""
    recorded: Recorded = field(default_factory=Recorded)

    @staticmethod
    def begin(
        jobs: Sequence[Job],
        config: TrainingConfig,
        source: BatchSource,
        network: Network,
        parameters: Parameters,
        targets: Targets,
        objective: Objective,
        pieces: int = 1,
        parallel: Parallel = ALONE,
        by_length: int = 1,
    ) -> "Loop":
        """A training before its first epoch."""
        device = targets.values_NE.device
        rates = torch.tensor([job.learning_rate for job in jobs], device=device)
        leaves = {name: value.clone() for name, value in parameters.items()}
        return Loop(
            jobs=jobs,
            config=config,
            source=source,
            network=network,
            targets=targets,
            objective=objective,
            optimiser=AdamW(leaves, rates, config, network.rate_scales),
            places=list(range(len(jobs))),
            best={name: value.clone() for name, value in parameters.items()},
            watched_loss=np.full((len(jobs), max(job.epochs for job in jobs)), np.nan),
            weights_MN=_weights(jobs, targets, objective),
            pieces=pieces,
            parallel=parallel,
            by_length=by_length,
        )

    def resume(self, progress: Progress) -> None:
        """Takes over what was written after an epoch."""
        self.epochs_done, self.places = progress.epoch, progress.places
        self.best, self.watched_loss = progress.best, progress.watched_loss
        self.pieces, self.recorded = progress.pieces, progress.recorded
        self.optimiser = AdamW(
            # In the order of before: a file sorts names, and the sum of a norm depends on the order.
            {name: progress.parameters[name] for name in self.optimiser.parameters},
            self.optimiser.rates_M[self.places],
            self.config,
            self.network.rate_scales,
            progress.first,
            progress.second,
            progress.average,
            progress.steps_A,
        )

    def progress(self) -> Progress:
        """What must be written to go on from here."""
        optimiser = self.optimiser
        return Progress(
            self.epochs_done,
            self.places,
            optimiser.parameters,
            optimiser.first,
            optimiser.second,
            optimiser.average,
            optimiser.steps_M,
            self.best,
            self.watched_loss,
            self.pieces,
            self.recorded,
        )

    @property
    def _models(self) -> Int[Tensor, "A"]:
        """Places of the models that are still trained."""
        return torch.tensor(self.places, device=self.weights_MN.device)

    def train_epoch(self, run: Surroundings) -> None:
        """One pass over every model's clips, then the watched clips; finished models leave."""
        jobs = [self.jobs[place] for place in self.places]
        plan = batches_of_epoch(jobs, self.epochs_done, self.config.batch_size)
        first_bad_A = torch.full((len(jobs),), -1, device=self.weights_MN.device)
        for number, rows_AB in enumerate(plan):
            losses_A = self._step(jobs, number, rows_AB, run)
            if run.on_batch is not None:
                run.on_batch(Batched(self.epochs_done, number, len(plan), losses_A))
            bad = (first_bad_A < 0) & ~losses_A.isfinite()
            first_bad_A = torch.where(bad, number, first_bad_A)
        # The last step may have been the one too many.
        broken = ~_finite(self.optimiser.parameters, len(jobs)) & (first_bad_A < 0)
        first_bad_A = torch.where(broken, len(plan) - 1, first_bad_A)
        self._check_finite(jobs, plan, first_bad_A)
        self.epochs_done += 1
        watched = self._watch(jobs)
        self._record(jobs)
        if run.on_epoch is not None and watched:
            run.on_epoch(Epoch(run.first_epoch + self.epochs_done, watched))
        self._keep(jobs)

    def _step(
        self, jobs: Sequence[Job], number: int, rows_AB: Int[np.ndarray, "A B"], run: Surroundings
    ) -> Float[Tensor, "A"]:
        step = Step(self.network, self.source, self.targets, self.objective, self.config, self.by_length)
        draws = Draws(jobs, self.epochs_done, number, self.weights_MN.device)
        rows = torch.as_tensor(rows_AB, device=self.weights_MN.device)
        weights = self.weights_MN[self._models].gather(1, rows.clamp(min=0)) * (rows >= 0)
        columns = self.parallel.columns(rows.shape[1])
        while True:
            try:
                losses = losses_of(
                    step, self.optimiser.parameters, self._models, rows, weights, draws, self.pieces, columns
                )
                break
            except torch.OutOfMemoryError:
                self._cut_batches(rows_AB.shape[1])
                run.log(
                    f"the device ran out of memory: batches are computed in {self.pieces} pieces from now on"
                )
        self.parallel.add_up([*(value.grad for value in self.optimiser.parameters.values()), losses])
        self.optimiser.step((rows >= 0).any(dim=1), self._rate_factors(jobs, number))
        return losses

    def _rate_factors(self, jobs: Sequence[Job], number: int) -> Float[Tensor, "A"]:
        """Of every model by its own number of batches, so that it is that of the model trained alone."""
        epochs = [self.epochs_done + number / num_batches(job, self.config.batch_size) for job in jobs]
        factors = [rate_factor(self.config, epoch) for epoch in epochs]
        return torch.tensor(factors, device=self.weights_MN.device)

    def _cut_batches(self, batch_size: int) -> None:
        """Halves what is computed at once; the gradient is still that of the whole batch."""
        if self.parallel.count > 1:
            raise InputError(
                f"the device's memory does not hold its part of a batch in {self.pieces} pieces: accumulate "
                f"gradients over more pieces, which all processes have to do alike"
            )
        if self.pieces >= batch_size:
            raise InputError(
                "the device's memory does not hold one clip of every model: choose a smaller network, "
                "shorter clips (max_seconds) or fewer seeds and learning rates at once"
            )
        for value in self.optimiser.parameters.values():
            value.grad = None
        self.pieces *= 2

    def _check_finite(
        self, jobs: Sequence[Job], plan: Int[np.ndarray, "batch A B"], first_bad_A: Tensor
    ) -> None:
        """Raises InputError that names the first batch whose loss is NaN or infinite."""
        first_bad = first_bad_A.cpu().numpy()
        if not (first_bad >= 0).any():
            return
        model = int(np.flatnonzero(first_bad >= 0)[0])
        batch = int(first_bad[model])
        rows = plan[batch, model]
        clips = ", ".join(str(row) for row in rows[rows >= 0][:5])
        raise InputError(
            f"training diverged: the loss is NaN or infinite in epoch {self.epochs_done + 1}, batch "
            f"{batch + 1} (clips number {clips}, ...). The last checkpoint before it is kept. Lower the "
            f"learning rate from {jobs[model].learning_rate:g}, or set clip_norm"
        )

    @torch.no_grad()
    def _watch(self, jobs: Sequence[Job]) -> list[tuple[Int[np.ndarray, "W"], Float[np.ndarray, "W E"]]]:
        """Records the loss on watched clips; returns them with their probabilities."""
        seen = [(at, job.watched) for at, job in enumerate(jobs) if job.watched is not None]
        if not seen:
            return []
        outputs, rows = self._outputs(seen)
        losses = per_model(self.objective.criterion, len(seen))(
            outputs, self.targets.take(rows.clamp(min=0)), (rows >= 0).float()
        )
        if not bool(losses.isfinite().all()):
            raise InputError(
                f"training diverged: after epoch {self.epochs_done} the loss on watched clips is NaN or "
                f"infinite. The last checkpoint before it is kept. Lower the learning rate, or set "
                f"clip_norm"
            )
        self.watched_loss[[self.places[at] for at, _ in seen], self.epochs_done - 1] = losses.cpu().numpy()
        shares = self.network.scores.probabilities(outputs).double().cpu().numpy()
        return [(rows, shares[line, : len(rows)]) for line, (_, rows) in enumerate(seen)]

    @torch.no_grad()
    def _record(self, jobs: Sequence[Job]) -> None:
        """Keeps what models say of the clips that their jobs ask for after this epoch."""
        asked = [
            (at, job.recorded)
            for at, job in enumerate(jobs)
            if job.recorded is not None and self.epochs_done in job.recorded_epochs
        ]
        if not asked:
            return
        said = predictions_of(self.network, self._outputs(asked)[0])
        for line, (at, rows) in enumerate(asked):
            epochs = jobs[at].recorded_epochs
            kept = self.recorded.setdefault(self.places[at], {})
            for kind, values in said.items():
                own = values[line, : len(rows)].cpu().numpy()
                kept.setdefault(kind, np.full((len(epochs), *own.shape), np.nan, own.dtype))
                kept[kind][epochs.index(self.epochs_done)] = own

    def _outputs(
        self, asked: Sequence[tuple[int, Int[np.ndarray, "_"]]]
    ) -> tuple[Outputs, Int[Tensor, "W B"]]:
        """What some of the models in training say, each of rows of its own; and the rows, filled up by -1."""
        width = max(len(rows) for _, rows in asked)
        rows_WB = np.full((len(asked), width), -1)
        for line, (_, rows) in enumerate(asked):
            rows_WB[line, : len(rows)] = rows
        rows = torch.as_tensor(rows_WB, device=self.weights_MN.device)
        here = torch.tensor([at for at, _ in asked], device=rows.device)
        parameters = {name: value[here] for name, value in self.optimiser.predicting.items()}
        given = (self.source, self._models[here], rows.clamp(min=0), self.config.amp)
        return outputs_of(self.network, parameters, *given), rows

    def _keep(self, jobs: Sequence[Job]) -> None:
        """Keeps the weights of models that have become better or are done; lets the done ones leave."""
        parameters, stays = self.optimiser.predicting, []
        for at, (place, job) in enumerate(zip(self.places, jobs, strict=True)):
            losses = self.watched_loss[place, : self.epochs_done]
            best = self.epochs_done - 1 if job.watched is None else int(np.nanargmin(losses))
            if best == self.epochs_done - 1:
                for name, value in parameters.items():
                    self.best[name][place] = value[at]
            patience = self.config.patience if job.watched is not None else None
            tired = patience is not None and self.epochs_done - 1 - best >= patience
            if self.epochs_done < job.epochs and not tired:
                stays.append(at)
        if len(stays) < len(self.places):
            self.places = [self.places[at] for at in stays]
            self.optimiser = self.optimiser.take(
                torch.tensor(stays, device=self.weights_MN.device, dtype=torch.long)
            )


def _finite(parameters: Parameters, num_models: int) -> Bool[Tensor, "A"]:
    """Whether all parameters of a model are finite."""
    whole = [value.detach().isfinite().view(num_models, -1).all(dim=1) for value in parameters.values()]
    return torch.stack(whole).all(dim=0)


def _weights(jobs: Sequence[Job], targets: Targets, objective: Objective) -> Float[Tensor, "M N"]:
    """Weights of clips, computed within each model's own training part."""
    values_NE = targets.values_NE
    weights = torch.zeros(len(jobs), len(values_NE), device=values_NE.device)
    for model, job in enumerate(jobs):
        rows = torch.as_tensor(job.rows, device=values_NE.device)
        weights[model, rows] = objective.weights(values_NE[rows]) * objective.counted(targets.states_N[rows])
    return weights
