"""Measuring many files: in several processes, and never the same bytes twice."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from blended.data.atomic import replacing
from blended.data.errors import InputError
from blended.data.measurement import Measurement, measure

CHUNK = 64
"""Files between two writes of the cache, which is what a kill loses."""

# Starting processes takes a second or two, in which this one measures some hundred small clips.
WORTH_PROCESSES_SECONDS = 4.0

CACHE_NAME = "measurements.parquet"
VERSION = "1"
"""Of what is measured: a cache of another version is not read."""

MEASURED: dict[str, pl.DataType] = {
    "sha256": pl.String(),
    "problem": pl.String(),
    "container": pl.String(),
    "duration_seconds": pl.Float64(),
    "video_codec": pl.String(),
    "fps": pl.Float64(),
    "constant_rate": pl.Boolean(),
    "width": pl.Int32(),
    "height": pl.Int32(),
    "rotation_degrees": pl.Int32(),
    "video_seconds": pl.Float64(),
    "audio_codec": pl.String(),
    "rate_hz": pl.Int32(),
    "channels": pl.Int32(),
    "audio_seconds": pl.Float64(),
    "loudness_dbfs": pl.Float64(),
    "clipped_share": pl.Float64(),
}
"""Columns of a `Measurement` in a table, in its order."""

_SCHEMA = {"path": pl.String(), "size": pl.Int64(), "mtime_ns": pl.Int64(), **MEASURED}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A measurement and the state of the file that it belongs to."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Time of the last change in nanoseconds."""
    measurement: Measurement


def measure_all(
    paths: Sequence[Path],
    cache: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measurement]:
    """The measurements of files, in their order; a file of unchanged size and time comes from the cache.

    More than one worker is used where the first files show that it pays. `cache` is a folder for one Parquet
    file, rewritten as a whole every 64 files. `progress` is called with the number of files done and of all.
    Raises InputError for a cache that cannot be read.
    """
    remembered = cache / CACHE_NAME
    seen = _load(remembered)
    places = [str(path.resolve()) for path in paths]
    todo = [place for place in dict.fromkeys(places) if not _is_current(seen.get(place), Path(place))]
    done = len(places) - len(todo)
    with ExitStack() as stack:
        mapped = _here
        for start in range(0, len(todo), CHUNK):
            _report(progress, done + start, len(places))
            began = time.monotonic()
            chunk = todo[start : start + CHUNK]
            states = [_state(Path(place)) for place in chunk]
            for place, state, measurement in zip(chunk, states, mapped(map(Path, chunk)), strict=True):
                seen[place] = _Seen(*state, measurement)
            _save(remembered, seen)
            left_seconds = (time.monotonic() - began) / len(chunk) * (len(todo) - start - len(chunk))
            if mapped is _here and workers > 1 and left_seconds > WORTH_PROCESSES_SECONDS:
                mapped = stack.enter_context(_processes(workers))
    _report(progress, len(places), len(places))
    return [seen[place].measurement for place in places]


def _report(progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _state(path: Path) -> tuple[int, int]:
    """Size and time of change; (-1, -1) for a file that is not there, which is never current."""
    if not path.is_file():
        return -1, -1
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _is_current(seen: _Seen | None, path: Path) -> bool:
    return seen is not None and seen.size >= 0 and (seen.size, seen.mtime_ns) == _state(path)


def _load(path: Path) -> dict[str, _Seen]:
    if not path.is_file():
        return {}
    try:
        if pl.read_parquet_metadata(path).get("version") != VERSION:
            return {}
        table = pl.read_parquet(path)
        rows = [_seen_from_row(row) for row in table.iter_rows(named=True)]
    except (pl.exceptions.PolarsError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no cache of measurements ({error}): delete it and run again") from error
    return dict(rows)


def _seen_from_row(row: dict[str, object]) -> tuple[str, _Seen]:
    place, size, mtime_ns = row.pop("path"), row.pop("size"), row.pop("mtime_ns")
    assert isinstance(place, str) and isinstance(size, int) and isinstance(mtime_ns, int)
    return place, _Seen(size, mtime_ns, measurement_from_row(row))


def measurement_from_row(row: dict[str, object]) -> Measurement:
    """The measurement in a row of a table with the columns `MEASURED`; raises KeyError where one lacks."""
    fields: dict[str, object] = {name: row[name] for name in MEASURED}
    return Measurement(**fields)  # pyright: ignore[reportArgumentType]


def _save(path: Path, seen: dict[str, _Seen]) -> None:
    rows = [
        {"path": place, "size": one.size, "mtime_ns": one.mtime_ns, **asdict(one.measurement)}
        for place, one in sorted(seen.items())
    ]
    with replacing(path) as temporary:
        pl.DataFrame(rows, schema=_SCHEMA).write_parquet(temporary, metadata={"version": VERSION})


def _here(paths: Iterable[Path]) -> Iterator[Measurement]:
    """The measurements of files, in their order, one after the other."""
    return map(measure, paths)


@contextmanager
def _processes(workers: int) -> Generator[Callable[[Iterable[Path]], Iterator[Measurement]]]:
    """As `_here`, in that many processes.

    Processes, because threads wait for each other: most of a small clip's time is spent in Python. Spawned,
    because a forked process inherits locks that other libraries' threads hold.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        yield lambda paths: pool.map(measure, paths, chunksize=4)


def _end_with_parent() -> None:
    """Ends a worker whose parent was killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
