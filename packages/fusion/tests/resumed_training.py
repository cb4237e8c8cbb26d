"""Run by test_resume.py as a process of its own, to be killed: trains, and writes the weights at the end.

    python resumed_training.py CHECKPOINTS RESULT SLOW

SLOW is how long every save takes, in seconds, so that a kill can hit one half done.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import numpy as files

from blended.data import atomic, checksums
from blended.fusion.config import TrainingConfig
from blended.fusion.objective import LossConfig
from blended.fusion.plan import Job
from blended.fusion.run import Epoch, Surroundings
from blended.fusion.training import Trained, train
from toys.problems import toy_problem

CONFIG = TrainingConfig(
    hidden=6, dropout=0.2, mixup=0.3, modality_dropout=0.3, ema=0.9, schedule="cosine", warmup_epochs=1.5,
    clip_norm=0.5, patience=4, batch_size=8, max_epochs=24, loss=LossConfig(r_drop=0.2),
)  # fmt: skip
JOBS = [
    Job(np.arange(0, 60), 24, 1, 0.01, np.arange(60, 90)),
    Job(np.arange(30, 90), 24, 2, 0.3, np.arange(0, 30)),
    Job(np.arange(10, 70), 9, 3, 0.02),
]


def trained(run: Surroundings) -> Trained:
    return train(toy_problem(CONFIG), JOBS, CONFIG, run)


def halfway(tensors: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> None:
    """Writes one half of the file, waits, and writes the other."""
    content = files.save(tensors, metadata)
    with Path(path).open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        os.fsync(file.fileno())
        say("writing")
        time.sleep(float(sys.argv[3]))
        file.write(content[len(content) // 2 :])


def say(message: str) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def main() -> None:
    torch.set_num_threads(1)
    checksums.save_file = halfway
    result = trained(Surroundings(say, lambda epoch: told(epoch), Path(sys.argv[1]), checkpoint_seconds=0))
    parameters = {name: value.numpy() for name, value in result.parameters.items()}
    with atomic.replacing(Path(sys.argv[2])) as temporary:
        files.save_file(parameters | {"watched": result.watched_loss}, temporary)


def told(epoch: Epoch) -> None:
    say(f"epoch {epoch.number}")


if __name__ == "__main__":
    main()
