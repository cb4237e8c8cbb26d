"""Many small jobs, shared between this process and others that are started once they pay."""

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import TypeVar

CHUNK = 32
"""Jobs that are handed over at a time."""

# Another process takes a third of a second of its own to start; this one works on meanwhile.
WORTH_PROCESSES_SECONDS = 0.8

Job = TypeVar("Job")
Result = TypeVar("Result")


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
