"""Measuring many files, in two passes: what they are, and what is seen and heard in them.

The first pass hashes and probes, as fast as files can be opened at all: what is missing, cut off or no media
is known after it. The second decodes the first picture and all of the sound, which takes a few times as long.
What an unchanged file gave in either is remembered.
"""

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from blended.data.measurement import Measurement, content_key, decode, inspect
from blended.data.measurement_cache import MeasurementCache, load_cache, state_of

CHUNK = 32
"""Jobs that are handed over at a time."""

# Another process takes a third of a second of its own to start; this one works on meanwhile.
WORTH_PROCESSES_SECONDS = 0.8

Job = TypeVar("Job")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the number of files done and of all, in each pass that has something to do."""


def measure_all(
    paths: Sequence[Path], cache: Path, *, workers: int = 1, progress: Progress | None = None
) -> list[Measurement]:
    """The measurements of files, in their order; what is known of an unchanged file comes from the cache.

    `cache` is a folder for one Parquet file. Raises InputError for a cache that cannot be read.
    """
    known, places = _inspected(paths, cache, workers, progress)
    _decode(known, places, workers, progress)
    return [known.measurements[place] for place in places]


def inspect_all(
    paths: Sequence[Path], cache: Path, *, workers: int = 1, progress: Progress | None = None
) -> list[Measurement]:
    """The first pass alone: what takes a decoder is None, or as the header says, unless it is remembered."""
    known, places = _inspected(paths, cache, workers, progress)
    return [known.measurements[place] for place in places]


def _inspected(
    paths: Sequence[Path], cache: Path, workers: int, progress: Progress | None
) -> tuple[MeasurementCache, list[str]]:
    """The cache after the first pass, and the full paths."""
    known = load_cache(cache)
    places = _full_paths(paths)
    states = {place: state_of(Path(place)) for place in places}
    todo = [Path(place) for place, state in states.items() if known.get(place, state) is None]
    if not todo:
        return known, places
    contents = known.by_content()
    count = _counter(progress, len(places), len(states) - len(todo))
    try:
        for chunk in share_out(partial(inspect, known=frozenset(contents)), todo, workers):
            for path, found in chunk:
                same = contents.get(content_key(found.sha256 or "", path))
                known.put(str(path), states[str(path)], found if same is None else same)
            known.save()
            count(len(chunk))
    finally:
        known.save(now=True)
    return known, places


def _full_paths(paths: Sequence[Path]) -> list[str]:
    """With links among the folders followed, each folder once, so that a linked corpus is known."""
    folders = {folder: os.path.realpath(folder) for folder in {path.parent for path in paths}}
    return [f"{folders[path.parent]}{os.sep}{path.name}" for path in paths]


def _decode(known: MeasurementCache, places: Sequence[str], workers: int, progress: Progress | None) -> None:
    """The second pass."""
    distinct = dict.fromkeys(places)
    todo = [(Path(place), known.measurements[place]) for place in distinct]
    todo = [(path, found) for path, found in todo if not (found.is_seen and found.is_heard)]
    if not todo:
        return
    count = _counter(progress, len(places), len(distinct) - len(todo))
    try:
        for chunk in share_out(_decode_one, todo, workers):
            for (path, _), found in chunk:
                known.put(str(path), known.states[str(path)], found)
            known.save()
            count(len(chunk))
    finally:
        known.save(now=True)


def _decode_one(job: tuple[Path, Measurement]) -> Measurement:
    path, inspected = job
    return decode(path, inspected)


def _counter(progress: Progress | None, total: int, done: int) -> Callable[[int], None]:
    """Adds up what is done and reports it, at once and whenever it is called."""

    def count(number: int) -> None:
        nonlocal done
        done += number
        if progress is not None:
            progress(done, total)

    count(0)
    return count


def share_out(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[list[tuple[Job, Result]]]:
    """Every job with its result, in pieces and in any order.

    This process is one of the `workers`; the others are started when what is left would keep it busy for
    longer than starting them takes. `work` and its results must be picklable. What it raises is raised.
    """
    chunks = deque(list(jobs[start : start + CHUNK]) for start in range(0, len(jobs), CHUNK))
    pending: set[Future[list[tuple[Job, Result]]]] = set()
    with ExitStack() as stack:
        pool: ProcessPoolExecutor | None = None
        began, num_done = time.monotonic(), 0
        while chunks or pending:
            while pool and chunks and len(pending) < 2 * (workers - 1):
                pending.add(pool.submit(_do, work, chunks.popleft()))
            if chunks:
                done = _do(work, chunks.popleft())
                num_done += len(done)
                yield done
            else:
                wait(pending, return_when=FIRST_COMPLETED)
            ready = {one for one in pending if one.done()}
            pending -= ready
            for one in ready:
                yield one.result()
            left_seconds = (time.monotonic() - began) / max(1, num_done) * CHUNK * len(chunks)
            if pool is None and workers > 1 and left_seconds > WORTH_PROCESSES_SECONDS:
                pool = stack.enter_context(_processes(workers - 1))


def _do(work: Callable[[Job], Result], jobs: list[Job]) -> list[tuple[Job, Result]]:
    return [(job, work(job)) for job in jobs]


@contextmanager
def _processes(number: int) -> Generator[ProcessPoolExecutor]:
    """Processes, because threads wait for each other: much of a small file's time is spent in Python.

    Spawned, because a forked process inherits locks that other libraries' threads hold.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Ends a worker whose parent was killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
