"""Pre-training on the clips of the chosen corpus, with its progress and its checkpoints."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch

from blended.data import InputError
from blended.data.digits import plain
from blended.data.index import read_index
from blended.encoders.device import one_thread
from blended.fusion.hicmae.gathering import gather_media
from blended.fusion.hicmae.pretraining import PretrainingConfig, pretrain, write_pretrained
from blended.fusion.parallel import Parallel
from blended.fusion.run import Batched, Surroundings
from blended.studies.folders import Folders
from blended.studies.params import read_params
from blended.studies.progress import clips_progress, say

SAID_TIMES = 20
"""Lines about the loss during a training."""


def pretrain_corpus(
    config: PretrainingConfig,
    folders: Folders,
    out: Path,
    *,
    seed: int,
    device: str,
    pieces: int,
    parallel: Parallel,
    workers: int,
    checkpoint_seconds: float = 20,
) -> None:
    """Writes the checkpoint `out`. Effects: prepares clips, reads and writes progress, says how it goes.

    Raises InputError for a corpus without media.
    """
    params = read_params(folders.params)
    index = read_index(folders.index(params.corpus))
    if not index.corpus.has_media:
        raise InputError(f"{params.corpus} has labels only: pre-training learns from recordings")
    loud = say if parallel.writes else _silent
    with clips_progress("prepare") if parallel.writes else nullcontext() as progress:
        media = gather_media(
            index,
            index.corpus.clips,
            config.preparation,
            folders.cache,
            log=loud,
            progress=progress,
            workers=workers,
        )
    checkpoints = folders.checkpoints(config.identity(index.corpus_hash, seed, pieces))
    num_clips = len(media.whole)
    loud(f"learning from {num_clips} unlabelled clips of all folds, and of the test partition: transductive")
    # One thread on a CPU, as for every training: threads of small products wait for each other.
    threads = one_thread() if device == "cpu" else nullcontext()
    bar = clips_progress("pre-train", device) if parallel.writes else nullcontext()
    with threads, bar as progress:
        tell = _teller(config, num_clips, progress, loud)
        run = Surroundings(
            loud, checkpoints=checkpoints, checkpoint_seconds=checkpoint_seconds, on_batch=tell
        )
        trained = pretrain(
            config,
            media,
            index.corpus.space,
            seed,
            run,
            torch.device(device),
            pieces=pieces,
            parallel=parallel,
        )
    if parallel.writes:
        write_pretrained(out, trained, config, [params.corpus], index.corpus_hash)
        shutil.rmtree(checkpoints, ignore_errors=True)
        loud(f"wrote {out}")


def _silent(_: str) -> None:
    """Of several processes one speaks."""


def _teller(
    config: PretrainingConfig,
    num_clips: int,
    progress: Callable[[int, int], None] | None,
    log: Callable[[str], None],
) -> Callable[[Batched], None]:
    """Moves the bar after every step, and says the mean loss of some epochs."""
    epochs = config.training.max_epochs
    every = max(1, epochs // SAID_TIMES)
    losses: list[torch.Tensor] = []

    def tell(done: Batched) -> None:
        losses.append(done.losses_A[0])
        seen = min((done.batch + 1) * config.training.batch_size, num_clips)
        if progress is not None:
            progress(done.epoch * num_clips + seen, epochs * num_clips)
        if done.batch + 1 == done.num_batches:
            if (done.epoch + 1) % every == 0 or done.epoch + 1 == epochs:
                log(f"epoch {done.epoch + 1}: loss {plain(float(torch.stack(losses).mean()))}")
            losses.clear()

    return tell
