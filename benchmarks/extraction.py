"""Extraction against the bare forward pass: what decoding, batching and writing cost beside the network.

Random weights of the published architectures on clips of the demo corpus, on the CPU. Either side has the
same worker processes of one thread each, in which the network has been built and has run once: imports and
building are left out on both sides, and nothing else. The bare side has everything decoded, prepared, sorted
by length and batched in memory, in the fastest of several batch sizes, and runs the network alone. Ours is
`extract`, from the clips' files to a finished store.

    python benchmarks/extraction.py [--clips 200] [--encoders wavlm-base clip]

The clips are dealt out into slices, and the sides take turns, so that other work on the machine meets both.
Where there is such work, trust the CPU seconds. About four minutes on two free cores.
"""

import argparse
import functools
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from blended.data import Clip
from blended.data.demo.config import DemoConfig
from blended.data.demo.render import render
from blended.encoders import encoder_config, extract
from blended.encoders.encoder import RANDOM
from blended.encoders.shards import Job, built_encoder, run_job

CLIPS_PER_ACTOR = 18
NUM_SLICES = 4
BATCH_SIZES = {"audio": (1.0, 2.5, 5.0, 10.0, 20.0), "video": (8, 16, 32, 64)}
"""Seconds of sound, or pictures, per batch that the bare side tries."""
NUM_TRIED = 8
"""Clips that they are tried on."""

Pool = Sequence[ProcessPoolExecutor]
"""One worker process each, to choose who does what."""


@dataclass(frozen=True)
class Cost:
    """Of one side."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


def demo_clips(folder: Path, count: int) -> list[Clip]:
    """The first clips of a demo corpus, rendered into `folder`."""
    actors = max(5, math.ceil(count / CLIPS_PER_ACTOR))
    config = DemoConfig(num_train_actors=actors, num_test_actors=0, clips_per_actor=CLIPS_PER_ACTOR)
    render(config, folder, workers=os.cpu_count() or 1, log=lambda _: None)
    paths = sorted(folder.rglob("*.mp4"))[:count]
    return [Clip(path.stem, path, "", fold=0) for path in paths]


# In a worker process:


def start(name: str) -> float:
    """Builds the network and runs it on nothing that counts; the CPU seconds since the process began."""
    import torch

    torch.set_num_threads(1)
    built_encoder(encoder_config(name), "cpu", RANDOM)
    return time.process_time()


@functools.lru_cache(maxsize=1)
def batches(name: str, paths: tuple[Path, ...], size: float) -> list[Any]:
    """Inputs of the network: sound as [clip, sample], or pictures as [picture, 3, 224, 224]."""
    encoder: Any = built_encoder(encoder_config(name), "cpu", RANDOM)
    inputs = [encoder.stream.read(path) for path in paths]
    return sound_batches(inputs, size) if name != "clip" else picture_batches(inputs, int(size))


def sound_batches(inputs: Sequence[Any], seconds: float) -> list[Any]:
    """At most `seconds` of sound together, with the padding."""
    import torch

    waves = sorted((torch.from_numpy(item.values) for item in inputs), key=len)
    made: list[list[Any]] = [[]]
    for wave in waves:
        if made[-1] and (len(made[-1]) + 1) * len(wave) > seconds * 16000:
            made.append([])
        made[-1].append(wave)
    return [torch.nn.utils.rnn.pad_sequence(batch, batch_first=True) for batch in made]


def picture_batches(inputs: Sequence[Any], count: int) -> list[Any]:
    """Normalised pictures of all clips, `count` at a time."""
    import torch

    from blended.encoders.clip import PREPARATION

    pixels = torch.cat([PREPARATION.normalised(PREPARATION.pixels(item.values)) for item in inputs])
    return [*pixels.split(count)]


def forward(name: str, paths: tuple[Path, ...], size: float) -> float:
    """The network alone; its CPU seconds."""
    import torch

    encoder: Any = built_encoder(encoder_config(name), "cpu", RANDOM)
    inputs = batches(name, paths, size)
    started = time.process_time()
    with torch.inference_mode():
        for batch in inputs:
            encoder.network(batch)
    return time.process_time() - started


def timed_job(job: Job) -> tuple[int, float]:
    """A job of the extraction loop and its CPU seconds."""
    started = time.process_time()
    return run_job(job), time.process_time() - started


# In the main process:


def on_all(pool: Pool, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Calls with these arguments, one for each worker, at the same time."""
    futures = [one.submit(function, *given) for one, given in zip(pool, arguments, strict=False)]
    return [future.result() for future in futures]


def bare(pool: Pool, name: str, clips: Sequence[Clip], size: float) -> Cost:
    """The network alone, the clips shared out among the workers."""
    shares = [(name, tuple(clip.path for clip in clips[k :: len(pool)]), size) for k in range(len(pool))]
    on_all(pool, batches, shares)
    started = time.perf_counter()
    cpu_seconds = on_all(pool, forward, shares)
    return Cost(time.perf_counter() - started, sum(cpu_seconds))


def ours(pool: Pool, name: str, clips: Sequence[Clip], folder: Path) -> Cost:
    """`extract`, a shard for each worker."""
    spent: list[float] = []

    def engine(jobs: Sequence[Job]) -> Iterable[int]:
        for num_clips, cpu_seconds in on_all(pool, timed_job, ((job,) for job in jobs)):
            spent.append(cpu_seconds)
            yield num_clips

    begun, started = time.process_time(), time.perf_counter()
    extract(
        clips,
        [encoder_config(name)],
        folder,
        corpus_hash="benchmark",
        log=lambda _: None,
        progress=lambda *_: None,
        weights={name: RANDOM},
        engine=engine,
        shard_size=math.ceil(len(clips) / len(pool)),
    )
    return Cost(time.perf_counter() - started, time.process_time() - begun + sum(spent))


def best_size(pool: Pool, name: str, clips: Sequence[Clip]) -> float:
    """The batch size with which the bare side is fastest, tried on a few clips."""
    paths = tuple(clip.path for clip in clips[:NUM_TRIED])
    sizes = BATCH_SIZES[encoder_config(name).modality]
    return min(sizes, key=lambda size: pool[0].submit(forward, name, paths, size).result())


def compare(name: str, clips: Sequence[Clip], folder: Path, num_workers: int) -> None:
    """Prints both costs and their ratio for one encoder."""
    pool = [ProcessPoolExecutor(1, get_context("spawn")) for _ in range(num_workers)]
    try:
        started = on_all(pool, start, [(name,)] * num_workers)
        ours(pool, name, clips[:num_workers], folder / "first")
        size = best_size(pool, name, clips)
        sides: list[tuple[Cost, Cost]] = []
        for k in range(NUM_SLICES):
            part = clips[k::NUM_SLICES]
            if k % 2:
                our_cost = ours(pool, name, part, folder / str(k))
                sides.append((bare(pool, name, part, size), our_cost))
            else:
                sides.append((bare(pool, name, part, size), ours(pool, name, part, folder / str(k))))
    finally:
        for one in pool:
            one.shutdown()
    unit = "s of sound" if encoder_config(name).modality == "audio" else "pictures"
    print(f"{name}: {len(clips)} clips in {NUM_SLICES} slices, {num_workers} workers of one thread")
    print(f"  left out on both sides: start of a worker, {max(started):.1f} CPU s")
    show(sides, f"bare, {size:g} {unit} at once")


def show(sides: Sequence[tuple[Cost, Cost]], what: str) -> None:
    """Sums over the slices, and the range of their ratios."""
    for name, costs in ((what, [a for a, _ in sides]), ("extract", [b for _, b in sides])):
        total = sum(costs, Cost())
        print(f"  {name:32} {total.seconds:7.1f} s {total.cpu_seconds:7.1f} CPU s")
    for name, of in (("clock", lambda cost: cost.seconds), ("CPU seconds", lambda cost: cost.cpu_seconds)):
        ratios = sorted(of(a) / of(b) for a, b in sides)
        ratio = sum(of(a) for a, _ in sides) / sum(of(b) for _, b in sides)
        print(
            f"  bare / extract by {name} {ratio:.2f} (slices {ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True
        )


def main() -> None:
    """All encoders that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--encoders", nargs="+", default=["wavlm-base", "clip"])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        clips = demo_clips(Path(name) / "demo", given.clips)
        for encoder in given.encoders:
            compare(encoder, clips, Path(name) / "features" / encoder, given.workers)


if __name__ == "__main__":
    main()
