"""Where jobs run: in this process, in worker processes of this machine, or wherever a caller has them run.

A CPU engine gives every worker one thread: only so do bytes not depend on the number of cores.
`benchmarks/extraction.py` measures what is lost beside the bare networks, run in the same way.
"""

import os
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process

from blended.data.errors import InputError
from blended.encoders.shards import Job, built_encoder, run_job, run_jobs

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
