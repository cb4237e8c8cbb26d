"""Shards as jobs: what of a corpus is encoded at once, decoded in threads before it is needed, written."""

import functools
import math
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from blended.data.clip import Clip
from blended.data.errors import InputError
from blended.data.media.probing import glance
from blended.data.store import Identity, write_shard
from blended.encoders.device import compile_network, one_thread
from blended.encoders.encoder import Encoded, Encoder, EncoderConfig, Stream
from blended.encoders.one_file import encode_batches, notes_of

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    function: Callable[[T], R], items: Iterable[T], threads: int, *, waiting: int | None = None
) -> Generator[R]:
    """Like `map`, with `threads` threads at work on the items to come; 0 is `map`.

    No more than `waiting` results wait, by default one per thread: decoded video is large.
    """
    if not threads:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads)
    queue: deque[Future[R]] = deque()
    try:
        for item in items:
            queue.append(pool.submit(function, item))
            if len(queue) > max(threads, waiting or 0):
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
    finally:
        # After an error nobody waits for what nobody wants.
        pool.shutdown(wait=False, cancel_futures=True)


def by_length(clips: Sequence[Clip]) -> list[Clip]:
    """The clips from the shortest to the longest; those that cannot be opened last.

    Batches are cut from this order, so it depends on the clips of the shard and on nothing else.
    """
    return sorted(clips, key=lambda clip: (_seconds(clip), clip.id))


def _seconds(clip: Clip) -> float:
    try:
        return glance(clip.path).duration_seconds
    except InputError:  # Said again, and counted as a failure, when the clip is decoded.
        return math.inf


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
    compiled: bool = False
    """Whether networks are compiled first; not on the CPU."""


@dataclass(slots=True)
class _Progress:
    """One encoder on its way through the clips of a shard."""

    task: Task
    encoder: Encoder[Any]
    device: str
    waiting: list[tuple[str, Any]] = field(default_factory=list)
    """Clip id and decoded input, up to the end of the batch."""
    encoded: dict[str, Encoded] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def add(self, clip_id: str, decoded: Any) -> None:
        """Takes a clip's input, or the error that came instead of one."""
        if isinstance(decoded, InputError):
            self.failures[clip_id] = str(decoded)
        else:
            self.waiting.append((clip_id, decoded))

    def encode(self) -> None:
        """Encodes what is waiting. A batch that fails is encoded clip by clip, to find the one to blame."""
        batch, self.waiting = self.waiting, []
        if not batch:
            return
        try:
            self._encode(batch)
        except InputError as error:
            if len(batch) == 1:
                self.failures[batch[0][0]] = f"{self.task.config.name}: {error}"
                return
            for one in batch:
                self.waiting.append(one)
                self.encode()

    def _encode(self, batch: Sequence[tuple[str, Any]]) -> None:
        encoded = encode_batches(self.encoder, [item for _, item in batch], self.device)
        for (clip_id, item), layers in zip(batch, encoded, strict=True):
            self.encoded[clip_id] = layers
            if notes := notes_of(item):
                self.notes[clip_id] = notes

    def write(self, clips: Sequence[Clip]) -> None:
        """Writes the shard."""
        ids = [clip.id for clip in clips]
        task, dtype = self.task, self.encoder.dtype
        write_shard(task.path, task.identity, ids, self.encoded, self.failures, dtype, self.notes)


def run_job(job: Job) -> int:
    """Runs one job in line, on the CPU with one thread; returns the number of its clips.

    Neither earlier jobs nor what else the machine does change a byte of its shards.
    """
    _encoders(job)  # Before threads are limited: only libraries that are there can be.
    with one_thread() if job.device == "cpu" else nullcontext():
        return sum(run_jobs([job]))


def run_jobs(jobs: Sequence[Job], decoders: int = 0) -> Generator[int]:
    """Runs jobs one after the other; yields the number of clips of each when its shards are on disk.

    `decoders` threads decode ahead, into the next jobs too, and one writes behind; 0 does all in line.
    """
    yield from ahead(_write, _encoded(jobs, decoders), min(1, decoders))


def _encoders(job: Job) -> list[Encoder[Any]]:
    return [built_encoder(task.config, job.device, task.weights, job.compiled) for task in job.tasks]


@functools.cache
def built_encoder(
    config: EncoderConfig, device: str, weights: Path | None, compiled: bool = False
) -> Encoder[Any]:
    """The encoder, built once per process: a worker runs many jobs, and loading weights takes seconds."""
    encoder = config.build(device=device, weights=weights)
    if compiled:
        compile_network(encoder, device)
    return encoder


@dataclass(frozen=True, slots=True)
class _Part:
    """One clip of a job, decoded or to be."""

    job: Job
    clip: Clip
    place: int
    """From 1 in the order in which the job's clips are encoded."""
    decoded: Mapping[Hashable, Any] = field(default_factory=dict)
    """Stream to the clip as that stream has it, or to the error in its place."""


def _encoded(jobs: Sequence[Job], decoders: int) -> Iterator[tuple[Job, list[_Progress]]]:
    """Every job with the features of its clips, in memory."""
    largest = max((encoder.batch_size for job in jobs for encoder in _encoders(job)), default=1)
    orders = zip(jobs, ahead(_order, jobs, min(1, decoders)), strict=True)
    parts = (_Part(job, clip, place) for job, order in orders for place, clip in enumerate(order, start=1))
    running: list[_Progress] = []
    for part in ahead(_decode, parts, decoders, waiting=decoders + largest):
        if part.place == 1:
            pairs = zip(part.job.tasks, _encoders(part.job), strict=True)
            running = [_Progress(task, encoder, part.job.device) for task, encoder in pairs]
        last = part.place == len(part.job.clips)
        for state in running:
            state.add(part.clip.id, part.decoded[state.encoder.stream])
            if part.place % state.encoder.batch_size == 0 or last:
                state.encode()
        if last:
            yield part.job, running


def _order(job: Job) -> Sequence[Clip]:
    """In which the clips are encoded: by length if any encoder takes several at once."""
    return by_length(job.clips) if any(e.batch_size > 1 for e in _encoders(job)) else job.clips


def _decode(part: _Part) -> _Part:
    """Reads the clip once per stream."""
    decoded: dict[Hashable, Any] = {}
    streams: dict[Stream[Any], None] = dict.fromkeys(encoder.stream for encoder in _encoders(part.job))
    for stream in streams:
        try:
            decoded[stream] = stream.read(part.clip.path)
        except InputError as error:
            decoded[stream] = error
    return replace(part, decoded=decoded)


def _write(encoded: tuple[Job, Sequence[_Progress]]) -> int:
    job, running = encoded
    for state in running:
        state.write(job.clips)
    return len(job.clips)
