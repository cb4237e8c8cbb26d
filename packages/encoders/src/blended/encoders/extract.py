"""The extraction loop: the shards of a store that are not there yet are jobs, which run in this process, in
worker processes of this machine, or wherever a caller has them run.

A CPU engine gives every worker one thread: only so do bytes not depend on the number of cores.
`benchmarks/extraction.py` measures what is lost beside the bare networks, run in the same way.
"""

import os
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

from blended.data.clip import Clip
from blended.data.errors import InputError
from blended.data.store import Identity, StoreWriter, locked, read_record
from blended.encoders.device import DeviceMemoryError
from blended.encoders.encoder import EncoderConfig
from blended.encoders.faces.stream import faces_seen
from blended.encoders.identity import identity_of
from blended.encoders.shards import Job, Task, built_encoder, run_job, run_jobs

Engine = Callable[[Sequence[Job]], Iterable[int]]
"""Runs jobs in any order, wherever it likes; yields the number of clips of each when its shards are on disk.

Jobs can be pickled. They write to paths, and read from paths, that must be the same files wherever they run.
An exception ends the extraction: jobs that are done stay done.
"""


def local(workers: int, device: str) -> Engine:
    """On the CPU `workers` processes; on another device this process, with `workers` threads that decode."""
    return partial(_run_local, workers=workers, on_cpu=device == "cpu")


def _run_local(jobs: Sequence[Job], workers: int, on_cpu: bool) -> Generator[int]:
    if on_cpu and workers > 1 and len(jobs) > 1:
        yield from _in_processes(jobs, min(workers, len(jobs)))
        return
    try:
        yield from map(run_job, jobs) if on_cpu else run_jobs(jobs, workers)
    finally:
        built_encoder.cache_clear()


def _in_processes(jobs: Sequence[Job], workers: int) -> Generator[int]:
    # Forking a process that has used torch's thread pools or polars can hang, so workers are spawned.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin_worker) as pool:
        futures = [pool.submit(run_job, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f"one of {workers} worker processes was killed, most likely for want of memory: run the "
                f"extraction again with fewer workers, it continues where it stopped"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    """Makes the worker end with its parent: those of a killed run would wait for jobs for ever."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


Log = Callable[[str], None]
Progress = Callable[[int, int], None]
"""Called with the clips done and the clips to do in this run; both 0 if there was nothing to do."""

SHARD_SIZE = 32
"""Clips per shard: what a kill can lose at most, per worker."""

NUM_LISTED = 20
"""Failed clips that an error names."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run of the loop did."""

    stores: Mapping[str, Path]
    """Encoder name to the folder of its store."""
    num_clips: int
    """Clips of the corpus."""
    num_computed: int
    """Clips that went through at least one encoder in this run; 0 if everything was there."""
    failures: Mapping[str, str]
    """Clip to reason, for the clips that at least one encoder lacks."""


def extract(
    clips: Sequence[Clip],
    encoders: Sequence[EncoderConfig],
    root: Path,
    *,
    corpus_hash: str,
    log: Log,
    progress: Progress,
    weights: Mapping[str, Path] | None = None,
    workers: int = 1,
    device: str = "cpu",
    compiled: bool = False,
    engine: Engine | None = None,
    max_failures: int = 0,
    shard_size: int = SHARD_SIZE,
) -> Summary:
    """Fills `root/<encoder name>/` for every encoder; what is there already is not computed again.

    `weights` maps encoder names to files. Every clip is decoded once for all encoders that want the same
    stream. `workers` are processes on the CPU, and threads that decode for another `device`. `compiled`
    compiles networks first, on a device that is no CPU. An `engine` runs the jobs elsewhere, with workers
    of its own. A clip that cannot be read does not stop the loop: it is listed, and more than `max_failures`
    of them in one store raise InputError at the end, when everything else is on disk; such a store stays
    unfinished. With several `workers` the caller's main module must be importable (they are spawned).
    """
    files = weights or {}
    folders = {config.name: root / config.name for config in encoders}
    if len(folders) != len(encoders):
        raise InputError(f"two encoders have one name: {', '.join(config.name for config in encoders)}")
    identities = {
        config.name: identity_of(config, corpus_hash, files.get(config.name)) for config in encoders
    }
    with locked([*folders.values()], log):
        for config in encoders:
            if config.weighted and _replaces(folders[config.name], identities[config.name]):
                # Weights that do not fit must not cost the features of those that did.
                config.build(weights=files[config.name])
        writers = {
            config.name: StoreWriter(
                folders[config.name],
                identities[config.name],
                [clip.id for clip in clips],
                shard_size=shard_size,
                max_failures=max_failures,
                log=log,
            )
            for config in encoders
        }
        jobs = _jobs(clips, encoders, writers, files, device, compiled)
        _run(jobs, engine or local(workers, device), progress)
        failures = {name: writer.finish() for name, writer in writers.items()}
        for name, writer in writers.items():
            if notes := writer.notes():
                log(f"{name}: {faces_seen(notes)}")
    summary = Summary(
        folders,
        len(clips),
        sum(len(job.clips) for job in jobs),
        {clip: reason for reasons in failures.values() for clip, reason in reasons.items()},
    )
    log(
        f"{root}: {summary.num_computed} of {len(clips)} clips encoded with {', '.join(folders)}; "
        f"{len(summary.failures)} failed"
    )
    _check_failures(failures, max_failures, root)
    return summary


def _replaces(folder: Path, identity: Identity) -> bool:
    """Whether features of this identity would take the place of others."""
    shard = next(iter(sorted(folder.glob("shard-*.safetensors"))), None)
    if shard is None:
        return False
    try:
        return read_record(shard).identity != identity
    except InputError:  # damaged, and so computed again in any case
        return True


def _jobs(
    clips: Sequence[Clip],
    encoders: Sequence[EncoderConfig],
    writers: Mapping[str, StoreWriter],
    weights: Mapping[str, Path],
    device: str,
    compiled: bool,
) -> list[Job]:
    """One job per slice of the clips that any encoder lacks, in the order of the plan."""
    clip_of = {clip.id: clip for clip in clips}
    tasks: dict[tuple[str, ...], list[Task]] = {}
    for config in encoders:
        writer = writers[config.name]
        for shard in writer.pending():
            task = Task(config, weights.get(config.name), writer.identity, shard.path)
            tasks.setdefault(shard.clips, []).append(task)
    return [Job(tuple(clip_of[i] for i in ids), tuple(tasks[ids]), device, compiled) for ids in sorted(tasks)]


def _run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> None:
    done, total = 0, sum(len(job.clips) for job in jobs)
    progress(done, total)
    if not jobs:
        return
    try:
        for num_clips in engine(jobs):
            done += num_clips
            progress(done, total)
    except DeviceMemoryError as error:
        raise InputError(
            f"a batch of clips does not fit into the device's memory ({error}): run fewer encoders at once, "
            f"or another device; what is finished stays"
        ) from error


def _check_failures(failures: Mapping[str, Mapping[str, str]], max_failures: int, root: Path) -> None:
    """Raises InputError if any encoder (the outer key) failed on too many clips."""
    over = {name: reasons for name, reasons in failures.items() if len(reasons) > max_failures}
    if not over:
        return
    reason_of = {clip: reason for reasons in over.values() for clip, reason in reasons.items()}
    listed = [f"  {clip}: {reason}" for clip, reason in sorted(reason_of.items())]
    if len(listed) > NUM_LISTED:
        listed[NUM_LISTED:] = [f"  and {len(listed) - NUM_LISTED} more"]
    raise InputError(
        f"{len(reason_of)} clips could not be encoded with {', '.join(over)} and at most {max_failures} may "
        f"fail. Everything else is in {root}: repair these and run the extraction again, or allow as many "
        "failures:\n" + "\n".join(listed)
    )
