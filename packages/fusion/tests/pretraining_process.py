"""Run by test_pretraining.py as processes of their own: pre-trains, says losses, writes the weights.

    [torchrun --nproc-per-node 2] pretraining_process.py CHECKPOINTS RESULT

Every epoch is written, so that a kill can come at any moment.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch

from blended.fusion import optimiser
from blended.fusion.config import TrainingConfig
from blended.fusion.hicmae.pretraining import PretrainingConfig, pretrain, write_pretrained
from blended.fusion.parallel import joined_processes
from blended.fusion.run import Batched, Surroundings
from toys.media import TOY_BACKBONE, toy_media
from toys.problems import SINGLE_SPACE

TRAINING = TrainingConfig(
    learning_rate=2e-3, weight_decay=0.05, beta2=0.95, batch_size=8, max_epochs=6, schedule="cosine",
    warmup_epochs=1,
)  # fmt: skip
CONFIG = PretrainingConfig(size=TOY_BACKBONE, windows=2, contrastive_weight=0.1, training=TRAINING)


def main() -> None:
    torch.set_num_threads(1)
    # With 1e-8, weights of next to no gradient move by rounding errors, and nothing compares closely.
    optimiser.EPSILON = 1e-4
    media = toy_media(np.eye(4)[np.arange(20) % 4])  # three batches, the last of them half empty
    with joined_processes(os.environ, "cpu") as (parallel, device):

        def say(message: str) -> None:
            if parallel.writes:
                sys.stdout.write(f"{message}\n")
                sys.stdout.flush()

        def tell(done: Batched) -> None:
            say(f"loss {float(done.losses_A[0])!r}")

        run = Surroundings(say, checkpoints=Path(sys.argv[1]), checkpoint_seconds=0, on_batch=tell)
        trained = pretrain(CONFIG, media, SINGLE_SPACE, 0, run, torch.device(device), parallel=parallel)
        if parallel.writes:
            write_pretrained(Path(sys.argv[2]), trained, CONFIG, ["toys"], "hash")


if __name__ == "__main__":
    main()
