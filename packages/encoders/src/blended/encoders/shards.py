"""Encoding one shard: the unit of work of the extraction loop, run here or in a worker process."""

import functools
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from blended.data.clip import Clip
from blended.data.errors import InputError
from blended.data.store import Identity, write_shard
from blended.encoders.encoder import Encoded, Encoder, EncoderConfig, Stream
from blended.encoders.threads import one_thread

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Task:
    """What one encoder has to do for a shard."""

    config: EncoderConfig
    weights: Path | None
    """File of trained weights, for encoders that have them."""
    identity: Identity
    path: Path
    """The shard to write."""


@dataclass(frozen=True, slots=True)
class Job:
    """The clips of a shard and the encoders that still lack it."""

    clips: tuple[Clip, ...]
    tasks: tuple[Task, ...]
    device: str


@dataclass(slots=True)
class _Progress:
    """One encoder on its way through the clips of a shard."""

    task: Task
    encoder: Encoder[Any]
    waiting: list[tuple[str, Any]] = field(default_factory=list)
    """Clip id and decoded input, up to the end of the batch."""
    encoded: dict[str, Encoded] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, clip_id: str, decoded: Any) -> None:
        """Takes a clip's input, or the error that came instead of one."""
        if isinstance(decoded, InputError):
            self.failures[clip_id] = str(decoded)
        else:
            self.waiting.append((clip_id, decoded))

    def encode(self) -> None:
        """Encodes what is waiting; one clip that cannot be encoded fails the clips of its batch."""
        ids, inputs = [clip_id for clip_id, _ in self.waiting], [item for _, item in self.waiting]
        self.waiting.clear()
        if not inputs:
            return
        try:
            self.encoded.update(zip(ids, self.encoder.encode(inputs), strict=True))
        except InputError as error:
            self.failures.update(dict.fromkeys(ids, f"{self.task.config.name}: {error}"))

    def write(self, clips: Sequence[Clip]) -> None:
        """Writes the shard."""
        ids = [clip.id for clip in clips]
        task = self.task
        write_shard(task.path, task.identity, ids, self.encoded, self.failures, self.encoder.dtype)


def run_job(job: Job, decoders: int = 0) -> int:
    """Decodes each clip once per stream, encodes it with every encoder, writes the shards.

    Batches are slices of the shard's clips, so neither earlier shards nor workers change a result.
    `decoders` threads decode ahead (0: decode in line). Returns the number of clips.
    """
    running = [_Progress(task, built_encoder(task.config, job.device, task.weights)) for task in job.tasks]
    with one_thread() if job.device == "cpu" else nullcontext():
        _encode_clips(job.clips, running, decoders)
    for state in running:
        state.write(job.clips)
    return len(job.clips)


def _encode_clips(clips: Sequence[Clip], running: Sequence[_Progress], decoders: int) -> None:
    streams: dict[Hashable, Stream[Any]] = {state.encoder.stream: state.encoder.stream for state in running}
    decode = functools.partial(_decode, streams=[*streams.values()])
    for position, (clip, decoded) in enumerate(
        zip(clips, ahead(decode, clips, decoders), strict=True), start=1
    ):
        for state in running:
            state.add(clip.id, decoded[state.encoder.stream])
            if position % state.encoder.batch_size == 0 or position == len(clips):
                state.encode()


def _decode(clip: Clip, streams: Sequence[Stream[Any]]) -> dict[Stream[Any], Any]:
    """The clip as every stream has it, or the error in its place."""
    decoded: dict[Stream[Any], Any] = {}
    for stream in streams:
        try:
            decoded[stream] = stream.read(clip.path)
        except InputError as error:
            decoded[stream] = error
    return decoded


def ahead(function: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R]:
    """Like `map`, with `threads` threads at work on the items to come; 0 is `map`.

    No more than `threads + 1` results wait: decoded video is large.
    """
    if not threads:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@functools.cache
def built_encoder(config: EncoderConfig, device: str, weights: Path | None) -> Encoder[Any]:
    """The encoder, built once per process: a worker runs many jobs, and loading weights takes seconds."""
    return config.build(device=device, weights=weights)
