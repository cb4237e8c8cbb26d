"""Extraction against the bare forward pass: what decoding, batching and writing cost beside the network.

Random weights of the published architectures on clips of the demo corpus, on the CPU, both sides with as many
threads in all. The bare side has everything decoded, prepared, sorted by length and batched in memory, and
runs the network alone, in the fastest of several batch sizes; it runs before and after ours. Ours is
`extract` with one worker process per thread; its start (imports, building networks), measured on one clip per
worker, is shown apart.

    python benchmarks/extraction.py [--clips 200] [--encoders wavlm-base clip]

On a machine that does other work, trust the ratio of CPU seconds.
"""

import argparse
import math
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from blended.data import Clip
from blended.data.demo.config import DemoConfig
from blended.data.demo.render import render
from blended.encoders import encoder_config, extract
from blended.encoders.encoder import RANDOM

CLIPS_PER_ACTOR = 18
BATCH_SECONDS = (5.0, 20.0, 60.0)
"""Sound per batch that the bare side tries."""
BATCH_PICTURES = (16, 64, 128)


@dataclass(frozen=True)
class Cost:
    """Of one run."""

    seconds: float
    cpu_seconds: float


def demo_clips(folder: Path, count: int) -> list[Clip]:
    """The first clips of a demo corpus, rendered into `folder`."""
    actors = max(5, math.ceil(count / CLIPS_PER_ACTOR))
    config = DemoConfig(num_train_actors=actors, num_test_actors=0, clips_per_actor=CLIPS_PER_ACTOR)
    render(config, folder, workers=os.cpu_count() or 1, log=lambda _: None)
    paths = sorted(folder.rglob("*.mp4"))[:count]
    return [Clip(path.stem, path, "", fold=0) for path in paths]


def measured(action: Callable[[], Any]) -> Cost:
    """Wall-clock seconds, and CPU seconds of this process and of children that have ended."""
    before, started = _cpu_seconds(), time.perf_counter()
    action()
    return Cost(time.perf_counter() - started, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def sound_batches(inputs: Sequence[Any], seconds: float) -> list[torch.Tensor]:
    """[clip, sample], padded: neighbours in length, `seconds` of sound together with the padding."""
    waves = sorted((torch.from_numpy(item.values) for item in inputs), key=len)
    batches: list[list[torch.Tensor]] = [[]]
    for wave in waves:
        if batches[-1] and (len(batches[-1]) + 1) * len(wave) > seconds * 16000:
            batches.append([])
        batches[-1].append(wave)
    return [torch.nn.utils.rnn.pad_sequence(batch, batch_first=True) for batch in batches]


def picture_batches(inputs: Sequence[Any], count: int) -> list[torch.Tensor]:
    """[picture, 3, 224, 224], normalised."""
    from blended.encoders.clip import PREPARATION

    pixels = torch.cat([PREPARATION.normalised(PREPARATION.pixels(item.values)) for item in inputs])
    return [*pixels.split(count)]


def forward(network: torch.nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """The network alone."""
    with torch.inference_mode():
        for batch in batches:
            network(batch)


def candidates(inputs: Sequence[Any], modality: str) -> list[list[torch.Tensor]]:
    """The same inputs in batches of several sizes."""
    if modality == "audio":
        return [sound_batches(inputs, seconds) for seconds in BATCH_SECONDS]
    return [picture_batches(inputs, count) for count in BATCH_PICTURES]


def compare(name: str, clips: Sequence[Clip], folder: Path, threads: int) -> None:
    """Prints both costs and their ratio for one encoder."""
    config = encoder_config(name)
    encoder: Any = config.build(weights=RANDOM)
    inputs = [encoder.stream.read(clip.path) for clip in clips]
    torch.set_num_threads(threads)
    options = candidates(inputs, config.modality)
    forward(encoder.network, options[0][:1])
    tried = [measured(lambda b=batches: forward(encoder.network, b)) for batches in options]
    best = min(range(len(options)), key=lambda k: tried[k].seconds)
    first_done: list[float] = []

    def progress(done: int, _total: int) -> None:
        first_done.append(time.perf_counter() if done else 0.0)

    started = time.perf_counter()
    ours = measured(
        lambda: extract(
            clips,
            [config],
            folder / name,
            corpus_hash="benchmark",
            log=lambda _: None,
            progress=progress,
            weights={name: RANDOM},
            workers=threads,
            shard_size=max(1, min(32, len(clips) // (4 * threads))),
        )
    )
    again = measured(lambda: forward(encoder.network, options[best]))
    bare = Cost((tried[best].seconds + again.seconds) / 2, (tried[best].cpu_seconds + again.cpu_seconds) / 2)
    start = measured(lambda: start_up(name, clips[:threads], folder / f"{name}-start", threads))
    print(f"{name}: {len(clips)} clips, {threads} threads, first shard after {first_done[1] - started:.1f} s")
    for what, cost in (("bare forward", bare), ("extract", ours), ("start alone", start)):
        print(f"  {what:13} {cost.seconds:7.1f} s {cost.cpu_seconds:7.1f} CPU s")
    running = Cost(ours.seconds - start.seconds, ours.cpu_seconds - start.cpu_seconds)
    for what, cost in (("with", ours), ("without", running)):
        print(
            f"  bare / ours {what} the start: {bare.seconds / cost.seconds:.2f} by the clock, "
            f"{bare.cpu_seconds / cost.cpu_seconds:.2f} by CPU seconds",
            flush=True,
        )


def start_up(name: str, clips: Sequence[Clip], folder: Path, threads: int) -> None:
    """An extraction of one clip per worker: nearly all of it is starting."""
    extract(
        clips,
        [encoder_config(name)],
        folder,
        corpus_hash="benchmark",
        log=lambda _: None,
        progress=lambda *_: None,
        weights={name: RANDOM},
        workers=threads,
        shard_size=1,
    )


def main() -> None:
    """All encoders that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--encoders", nargs="+", default=["wavlm-base", "clip"])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        clips = demo_clips(Path(name) / "demo", given.clips)
        for encoder in given.encoders:
            compare(encoder, clips, Path(name) / "features", given.threads)


if __name__ == "__main__":
    main()
