"""Measuring many files: in several processes, and never the same bytes twice."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
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
VERSION = "2"
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
    "voiced_share": pl.Float64(),
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
    table, seen = _load(remembered)
    places = [str(path.resolve()) for path in paths]
    todo = [place for place in dict.fromkeys(places) if not _is_current(seen.get(place), Path(place))]
    states = [_state(Path(place)) for place in todo]
    done = len(places) - len(todo)
    with ExitStack() as stack:
        found, alone = map(measure, map(Path, todo)), True
        began = time.monotonic()
        for start in range(0, len(todo), CHUNK):
            _report(progress, done + start, len(places))
            chunk = slice(start, start + CHUNK)
            measured = zip(todo[chunk], states[chunk], islice(found, CHUNK), strict=True)
            new = {place: _Seen(*state, measurement) for place, state, measurement in measured}
            seen.update(new)
            table = _save(remembered, table, new)
            rest = todo[start + CHUNK :]
            left_seconds = (time.monotonic() - began) / (start + len(new)) * len(rest)
            if alone and workers > 1 and left_seconds > WORTH_PROCESSES_SECONDS:
                found, alone = stack.enter_context(_processes(workers))(map(Path, rest)), False
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


def _load(path: Path) -> tuple[pl.DataFrame, dict[str, _Seen]]:
    """What earlier runs measured, as the table that it is and by path."""
    nothing = pl.DataFrame(schema=_SCHEMA)
    if not path.is_file():
        return nothing, {}
    try:
        if pl.read_parquet_metadata(path).get("version") != VERSION:
            return nothing, {}
        table = pl.read_parquet(path)
        rows = [_seen_from_row(row) for row in table.iter_rows(named=True)]
    except (pl.exceptions.PolarsError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no cache of measurements ({error}): delete it and run again") from error
    return table, dict(rows)


def _seen_from_row(row: dict[str, object]) -> tuple[str, _Seen]:
    place, size, mtime_ns = row.pop("path"), row.pop("size"), row.pop("mtime_ns")
    assert isinstance(place, str) and isinstance(size, int) and isinstance(mtime_ns, int)
    return place, _Seen(size, mtime_ns, measurement_from_row(row))


def measurement_from_row(row: dict[str, object]) -> Measurement:
    """The measurement in a row of a table with the columns `MEASURED`; raises KeyError where one lacks."""
    fields: dict[str, object] = {name: row[name] for name in MEASURED}
    return Measurement(**fields)  # pyright: ignore[reportArgumentType]


def _save(path: Path, table: pl.DataFrame, new: Mapping[str, _Seen]) -> pl.DataFrame:
    """Writes the table with the rows of new measurements in the place of old ones; returns it."""
    rows = [
        {"path": place, "size": one.size, "mtime_ns": one.mtime_ns, **asdict(one.measurement)}
        for place, one in new.items()
    ]
    others = table.filter(~pl.col("path").is_in([*new]))
    table = pl.concat([others, pl.DataFrame(rows, schema=_SCHEMA)]).sort("path")
    with replacing(path) as temporary:
        table.write_parquet(temporary, metadata={"version": VERSION})
    return table


@contextmanager
def _processes(workers: int) -> Generator[Callable[[Iterable[Path]], Iterator[Measurement]]]:
    """Measures in that many processes; all files are handed over at once, so that none of them waits.

    Processes, because threads wait for each other: most of a small clip's time is spent in Python. Spawned,
    because a forked process inherits locks that other libraries' threads hold.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield lambda paths: pool.map(measure, paths, chunksize=CHUNK // 8 or 1)
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
