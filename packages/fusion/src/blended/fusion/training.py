"""The one training loop: many models of one network at once, on whatever a source gives.

M models, A of them still trained, N clips in all, B clips per batch, E emotions.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import stack_module_state

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.loop import Loop
from blended.fusion.network import Network
from blended.fusion.objective import Objective, Targets
from blended.fusion.optimiser import Parameters
from blended.fusion.parallel import ALONE, Parallel
from blended.fusion.passes import outputs_of, predictions_of
from blended.fusion.plan import Job
from blended.fusion.run import Recorded, Surroundings, origin_of, read_progress, write_progress
from blended.fusion.sources import BatchSource, Change


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is trained on what."""

    make_source: Callable[[Sequence[Job]], BatchSource]
    """Prepares features for the training parts of some jobs."""
    make_network: Callable[[BatchSource], Network]
    """A network with fresh weights from torch's current seed, for what the source gives."""
    targets: Targets
    """Of the training clips, which come first."""
    objective: Objective
    device: torch.device
    together: int | None = None
    """Models trained and applied at once, for networks too large to have all in memory; None for all. The
    numbers are those of all at once, to rounding."""
    pieces: int = 1
    """Parts that a batch is cut into, whose gradients add up to the batch's."""
    parallel: Parallel = ALONE
    """This process among those that train the same models."""
    by_length: int = 1
    """Pieces that a batch is cut into by the lengths of its clips; see `Step`."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """M trained models."""

    network: Network
    """One network, whose parameters are replaced by those of each model."""
    parameters: Parameters
    """[M, ...]: of a watched model, as they were after its best epoch; of the others, after their last."""
    source: BatchSource
    watched_loss: Float[np.ndarray, "M epoch"]
    """Loss on the watched rows after every epoch; NaN where nothing is watched, or not any more."""
    config: TrainingConfig
    device: torch.device
    together: int | None = None
    """Models applied at once; None for all."""
    recorded: Recorded = field(default_factory=Recorded)
    """What models said while they were trained, as their jobs asked."""

    @property
    def num_models(self) -> int:
        """M."""
        return len(next(iter(self.parameters.values())))

    def predict(self, rows_MB: Int[np.ndarray, "M B"], change: Change | None = None) -> dict[str, np.ndarray]:
        """[M, B, ...] of clips of each model's own: `emotions` and, where there are, `states` and `gates`.

        All are probabilities, or intensities.
        """
        source = self.source if change is None else self.source.changed(change)
        models = torch.arange(len(rows_MB), device=self.device)
        rows = torch.as_tensor(rows_MB, device=self.device)
        parts = [
            outputs_of(self.network, self._some(places), source, places, rows[places], self.config.amp)
            for places in models.split(self.together or len(models))
        ]
        outputs = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        wanted = predictions_of(self.network, outputs)
        return {key: value.double().cpu().numpy() for key, value in wanted.items()}

    def _some(self, places: Int[Tensor, "A"]) -> Parameters:
        if len(places) == self.num_models:
            return self.parameters
        return {name: value[places] for name, value in self.parameters.items()}

    def predict_all(
        self, rows_B: Int[np.ndarray, "B"], change: Change | None = None
    ) -> dict[str, np.ndarray]:
        """`predict` of the same clips by every model."""
        return self.predict(np.tile(rows_B, (self.num_models, 1)), change)

    def state(self, models: Sequence[int]) -> dict[str, Tensor]:
        """Parameters and preparation of some of the models, [model, ...], for a safetensors file."""
        places = list(models)
        state = {f"network.{name}": value[places] for name, value in self.parameters.items()}
        return state | {f"source.{name}": value for name, value in self.source.state(places).items()}


def train(problem: Problem, jobs: Sequence[Job], config: TrainingConfig, run: Surroundings) -> Trained:
    """Trains one model per job, all at once.

    A watched model keeps the parameters of the epoch with the smallest watched loss (the first, on a tie).
    With `run.checkpoints`, an interrupted training goes on where it was and ends with the same numbers.
    Raises InputError when a loss is no longer finite, with the epoch, the batch and what to do.
    """
    if problem.together is not None and len(jobs) > problem.together:
        return _in_turns(problem, jobs, problem.together, config, run)
    source = problem.make_source(jobs)
    network, parameters = _fresh(problem, source, jobs)
    if config.loss.r_drop and not network.noise_width:
        raise InputError("r_drop compares two passes with different dropout, and here is none: set dropout")
    origin = origin_of(jobs, config, parameters, problem.objective.space, problem.targets.values_NE)
    loop = Loop.begin(
        jobs,
        config,
        source,
        network,
        parameters,
        problem.targets,
        problem.objective,
        problem.pieces,
        problem.parallel,
        problem.by_length,
    )
    folder = run.checkpoints
    progress = None if folder is None else read_progress(folder, origin, problem.device, run.log)
    if progress is not None:
        loop.resume(progress)
        done = "trained before, read" if not progress.places else f"continuing after {progress.epoch} epochs"
        run.log(f"{done} from {folder}")
    was_over = not loop.places
    written = time.monotonic()
    with _deterministic(config.deterministic):
        while loop.places:
            loop.train_epoch(run)
            due = time.monotonic() - written >= run.checkpoint_seconds
            if folder is not None and problem.parallel.writes and (due or not loop.places):
                write_progress(folder, loop.progress(), origin)
                written = time.monotonic()
    if not was_over:
        run.log(f"trained {len(jobs)} models for up to {loop.epochs_done} epochs")
    given = (config, problem.device, problem.together, loop.recorded)
    return Trained(network, loop.best, source, loop.watched_loss, *given)


def _in_turns(
    problem: Problem, jobs: Sequence[Job], together: int, config: TrainingConfig, run: Surroundings
) -> Trained:
    """Some models after the others, each group with checkpoints of its own."""
    parts: list[Trained] = []
    epochs = 0
    for first in range(0, len(jobs), together):
        group = jobs[first : first + together]
        parts.append(train(problem, group, config, run.stage(f"from{first}", epochs)))
        epochs += max(job.epochs for job in group)
    watched_loss = np.full((len(jobs), max(job.epochs for job in jobs)), np.nan)
    for first, part in zip(range(0, len(jobs), together), parts, strict=True):
        rows, columns = part.watched_loss.shape
        watched_loss[first : first + rows, :columns] = part.watched_loss
    recorded: Recorded = {}
    for first, part in zip(range(0, len(jobs), together), parts, strict=True):
        recorded |= {first + place: said for place, said in part.recorded.items()}
    names = parts[0].parameters
    joined = {name: torch.cat([part.parameters[name] for part in parts]) for name in names}
    source = problem.make_source(jobs)
    given = (config, problem.device, together, recorded)
    return Trained(parts[0].network, joined, source, watched_loss, *given)


def _fresh(problem: Problem, source: BatchSource, jobs: Sequence[Job]) -> tuple[Network, Parameters]:
    """A network, and the stacked fresh weights of one model per job; each depends on its job's seed alone."""
    networks: list[Network] = []
    for job in jobs:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            networks.append(problem.make_network(source))
    stacked, _ = stack_module_state(networks)  # pyright: ignore[reportArgumentType] - a list of modules it is
    parameters = {name: value.detach().to(problem.device) for name, value in stacked.items()}
    return networks[0].to(problem.device), parameters


@contextmanager
def _deterministic(wanted: bool) -> Generator[None]:
    # Not called unless asked for: it imports torch's compiler, which takes seconds.
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=only_warned)
