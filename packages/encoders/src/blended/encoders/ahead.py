"""Doing work in threads before its result is needed."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

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
