"""Training the models of all folds as one computation, against one after the other in plain torch.

The plain side is the usual loop: torch.nn, torch.optim.AdamW, a DataLoader, one model at a time. Same
architecture, batches, steps and number of models on both sides. Data: noise, 1,080 clips.
"""

import time

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from blended.data import LabelSpace
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.plan import Job
from blended.fusion.run import Surroundings
from blended.fusion.strategies.pooled import Concatenation, pooled_problem
from blended.fusion.training import Problem, train

NUM_CLIPS, NUM_FOLDS, EPOCHS = 1080, 5, 10


def plain(x: torch.Tensor, targets: torch.Tensor, jobs: list[Job], config: TrainingConfig) -> None:
    """One model after the other."""
    for job in jobs:
        rows = torch.as_tensor(job.rows)
        standardised = (x[rows] - x[rows].mean(dim=0)) / x[rows].std(dim=0)
        loader = DataLoader(TensorDataset(standardised, targets[rows]), config.batch_size, shuffle=True)
        layers = [torch.nn.Linear(x.shape[1], 6)]
        if config.hidden:
            layers = [
                torch.nn.Linear(x.shape[1], config.hidden),
                torch.nn.ReLU(),
                torch.nn.Linear(config.hidden, 6),
            ]
        model = torch.nn.Sequential(*layers)
        optimiser = torch.optim.AdamW(model.parameters(), lr=config.rates[0])
        for _ in range(job.epochs):
            for batch, batch_targets in loader:
                log_p = model(batch).log_softmax(dim=-1)
                loss = torch.nn.functional.kl_div(log_p, batch_targets, reduction="batchmean")
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()


def problem(x: torch.Tensor, targets: torch.Tensor, config: TrainingConfig) -> Problem:
    """The same for `train`."""
    inputs = Inputs(
        space=LabelSpace(tuple("abcdef")),
        targets=targets,
        folds=np.arange(NUM_CLIPS) % NUM_FOLDS,
        clips=tuple(map(str, range(NUM_CLIPS))),
        actors=tuple(str(clip % NUM_FOLDS) for clip in range(NUM_CLIPS)),
        modality_of={"noise": "video"},
        features={"noise": x},
    )
    return pooled_problem(inputs, ["noise"], "training", config, None, Concatenation)


def compare(dim: int, hidden: int) -> None:
    """Prints both times and their ratio for one architecture."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NUM_CLIPS, dim, generator=generator)
    targets = torch.rand(NUM_CLIPS, 6, generator=generator).softmax(dim=-1)
    folds = np.arange(NUM_CLIPS) % NUM_FOLDS
    config = TrainingConfig(hidden=hidden)
    rate = config.rates[0]
    jobs = [Job(np.flatnonzero(folds != fold), EPOCHS, fold, rate) for fold in range(NUM_FOLDS)]
    given, run = problem(x, targets, config), Surroundings(lambda _: None)
    times: dict[str, float] = {}
    for name, action in (
        ("together", lambda: train(given, jobs, config, run)),
        ("one by one", lambda: plain(x, targets, jobs, config)),
    ):
        action()
        started = time.perf_counter()
        action()
        times[name] = time.perf_counter() - started
    ratio = times["one by one"] / times["together"]
    print(
        f"dim {dim}, hidden {hidden}, {NUM_FOLDS} folds x {EPOCHS} epochs: "
        f"one by one {times['one by one']:.2f} s, together {times['together']:.2f} s, ratio {ratio:.1f}"
    )


def main() -> None:
    """Linear and MLP-256 heads on a small and a larger feature set."""
    for dim, hidden in ((448, 0), (448, 256), (1500, 0), (1500, 256)):
        compare(dim, hidden)


if __name__ == "__main__":
    main()
