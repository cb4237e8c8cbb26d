"""The extraction loop on a Ray cluster: shards go to actors, one per device, on whatever nodes there are.

Every node must see the clips, the weights and the features' folder under the same paths (a shared file
system) and have the same packages installed. A node that is lost costs the shards it was working on; they
go to other nodes, and the result has the same bytes.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from blended.data.errors import InputError, unknown_name
from blended.encoders.encoder import RANDOM
from blended.encoders.extract import Engine
from blended.encoders.shards import Job, run_job, run_jobs

Log = Callable[[str], None]

MAX_LOSSES = 3
"""Nodes that a shard may go down with before it is held to be the reason."""

PATIENCE_SECONDS = 60.0
"""Until it is said that nothing can run for want of nodes."""

STORE_BYTES = 80 * 1024**2
"""Of Ray's object store on this machine: features go to files, and jobs are small."""

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""No report to Ray's makers, and none of its warnings about environment variables."""


ENGINES = ("local", "ray")


def chosen_engine(name: str, address: str | None, device: str, log: Callable[[str], None]) -> Engine | None:
    """The engine of that name for `extract`; None is the local one.

    Raises InputError for another name, and for the address of a cluster that is not asked for.
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    if name == "ray":
        return on_ray(address, device, log)
    if address is not None:
        raise InputError(
            f"--address {address} was given for --engine local, which runs on this machine alone: add "
            f"--engine ray, or leave the address out"
        )
    return None


def on_ray(address: str | None, device: str, log: Log) -> Engine:
    """The engine for `extract`.

    `address` is that of a running cluster, `auto` for the one that this machine belongs to, None for Ray on
    this machine alone. On a `cuda` device every GPU of the cluster gets an actor, which shares its node's
    CPUs out for decoding; otherwise every CPU gets one.
    """
    return partial(_run, address=address, on_gpu=device != "cpu", log=log)


def _run(jobs: Sequence[Job], address: str | None, on_gpu: bool, log: Log) -> Generator[int]:
    with _connected(address):
        yield from _Dispatch(deque(map(_absolute, jobs)), on_gpu, log).results()


def _absolute(job: Job) -> Job:
    """The job with paths that do not depend on where a worker was started."""

    def there(path: Path | None) -> Path | None:
        return path if path is None or path == RANDOM else path.absolute()

    tasks = (replace(task, path=task.path.absolute(), weights=there(task.weights)) for task in job.tasks)
    clips = (replace(clip, path=clip.path.absolute()) for clip in job.clips)
    return replace(job, clips=tuple(clips), tasks=tuple(tasks))


@contextmanager
def _connected(address: str | None) -> Generator[None]:
    """A connection to the cluster, which is kept if it was there before."""
    os.environ.update(QUIET)
    import ray

    already = ray.is_initialized()
    if not already:
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            settings |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
        try:
            # Without an address Ray would join whatever cluster was last started on this machine.
            ray.init(address or "local", **settings)
        except ConnectionError as error:
            raise InputError(
                f"no Ray cluster answers at {address!r}: start one with `ray start --head` and join other "
                f"machines with `ray start --address HOST:6379`, or leave out the address to use this machine"
            ) from error
    try:
        yield
    finally:
        if not already:
            ray.shutdown()


class _Worker:
    """One device: encodes a shard at a time and keeps its networks from one to the next."""

    def __init__(self, decoders: int) -> None:
        self.decoders = decoders

    def ready(self) -> None:
        """Answers once the actor has a place."""

    def run(self, job: Job) -> int:
        """The number of the job's clips, when its shards are on disk."""
        return sum(run_jobs([job], self.decoders)) if self.decoders else run_job(job)


@dataclass(slots=True)
class _Dispatch:
    """Which actor does what. An actor without a place has no job, so none waits for a node that is gone."""

    waiting: deque[Job]
    on_gpu: bool
    log: Log
    running: dict[Any, tuple[Any, Job | None]] = field(default_factory=dict[Any, Any])
    """Pending answer -> the actor that owes it, and the job that it is about; None for `ready`."""
    losses: dict[Path, int] = field(default_factory=dict[Path, int])

    def results(self) -> Generator[int]:
        """The number of clips of every job, as they end."""
        import ray

        num_jobs, num_done = len(self.waiting), 0
        for _ in range(min(num_jobs, self._num_devices())):
            self._hire()
        try:
            while num_done < num_jobs:
                answers, _ = ray.wait([*self.running], timeout=PATIENCE_SECONDS)
                if not answers and not any(job for _, job in self.running.values()):
                    self.log("no node of the Ray cluster has room for the extraction; waiting for one")
                for num_clips in filter(None, map(self._take, answers)):
                    num_done += 1
                    yield num_clips
        finally:
            for actor, _ in self.running.values():
                ray.kill(actor)

    def _num_devices(self) -> int:
        import ray

        kind = "GPU" if self.on_gpu else "CPU"
        number = int(ray.cluster_resources().get(kind, 0))
        if not number:
            raise InputError(
                f"the Ray cluster has no {kind}: choose --device {'cpu' if self.on_gpu else 'cuda'}, or add "
                f"a node that has one"
            )
        return number

    def _hire(self) -> None:
        """One more actor, which gets work when it has found a place."""
        import ray

        decoders = self._decoders() if self.on_gpu else 0
        resources = {"num_gpus": 1, "num_cpus": 0} if self.on_gpu else {"num_cpus": 1}
        actor = cast(Any, ray.remote(_Worker)).options(max_restarts=0, **resources).remote(decoders)
        self.running[actor.ready.remote()] = (actor, None)

    def _decoders(self) -> int:
        """Threads that decode for one GPU: its share of the cluster's cores."""
        import ray

        resources = ray.cluster_resources()
        return max(1, int(resources.get("CPU", 1) / resources["GPU"]))

    def _take(self, answer: Any) -> int | None:
        """What came back: clips that are done, or None for an actor that is ready or lost."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        actor, job = self.running.pop(answer)
        try:
            num_clips = cast("int | None", ray.get(answer))
        except RayTaskError as error:
            # What our own code raised: it would raise it anywhere.
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except RayError as error:
            self._lose(job, error)
            return None
        if self.waiting:
            following = self.waiting.popleft()
            self.running[actor.run.remote(following)] = (actor, following)
        else:
            ray.kill(actor)
        return num_clips

    def _lose(self, job: Job | None, error: Exception) -> None:
        """An actor went down with its node: its job goes first in the queue, and another is looked for."""
        if job is not None:
            path = job.tasks[0].path
            self.losses[path] = self.losses.get(path, 0) + 1
            if self.losses[path] > MAX_LOSSES:
                raise InputError(
                    f"{path} was lost with its worker {MAX_LOSSES + 1} times, most likely for want of "
                    f"memory: run the extraction again with fewer encoders at once; it continues where it "
                    f"stopped"
                ) from error
            self.log(f"{path}: the worker or its node was lost ({type(error).__name__}); another takes over")
            self.waiting.appendleft(job)
        self._hire()
