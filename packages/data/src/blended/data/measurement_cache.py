"""What earlier runs measured, in one Parquet file: found again by place, and by content.

A file of unchanged size and time is not read again. One that was moved, renamed or touched is hashed, and not
looked into if these bytes are known.
"""

import operator
import time
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from blended.data.atomic import replacing
from blended.data.checksums import BLANK_SEAL, SEAL_KEY, DamagedError, check_seal, seal
from blended.data.code_versions import code_version
from blended.data.errors import InputError
from blended.data.measurement import Measurement, content_key

CACHE_NAME = "measurements.parquet"
MEASURING = ("blended.data.measurement:inspect", "blended.data.measurement:decode")
"""What fills the cache: one that was filled by other code is not read."""

SAVE_EVERY_SECONDS = 2.0
"""What a kill loses."""

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
_CELLS = operator.attrgetter(*MEASURED)

State = tuple[int, int]
"""Bytes, and the time of the last change in nanoseconds; (-1, -1) for a file that is not there."""
MISSING: State = (-1, -1)


def state_of(path: Path) -> State:
    """The state of a file now."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    return status.st_size, status.st_mtime_ns


@dataclass(slots=True)
class MeasurementCache:
    """Measurements by the full path of their file."""

    path: Path
    table: pl.DataFrame
    """As it is on disk."""
    states: dict[str, State]
    measurements: dict[str, Measurement]
    unsaved: set[str] = field(default_factory=set[str])
    saved_at: float = field(default_factory=time.monotonic)

    def get(self, place: str, state: State) -> Measurement | None:
        """What is known of a file in this state; a file that is not there is never known."""
        return self.measurements[place] if state != MISSING and self.states.get(place) == state else None

    def by_content(self) -> dict[str, Measurement]:
        """What is known of files that can be used, by `content_key`."""
        return {
            content_key(found.sha256, Path(place)): found
            for place, found in self.measurements.items()
            # The words for a problem name the file that has it.
            if found.sha256 is not None and found.problem is None
        }

    def put(self, place: str, state: State, measurement: Measurement) -> None:
        """Adds or replaces one measurement."""
        self.states[place], self.measurements[place] = state, measurement
        self.unsaved.add(place)

    def save(self, *, now: bool = False) -> None:
        """Writes what is new as a whole, every other second or `now`."""
        if not self.unsaved or not (now or time.monotonic() - self.saved_at >= SAVE_EVERY_SECONDS):
            return
        new = sorted(self.unsaved)
        rows = [(place, *self.states[place], *_CELLS(self.measurements[place])) for place in new]
        added = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
        self.table = pl.concat([self.table.join(added, on="path", how="anti"), added]).sort("path")
        with replacing(self.path) as temporary:
            version = code_version(MEASURING)
            self.table.write_parquet(temporary, metadata={"version": version, SEAL_KEY: BLANK_SEAL})
            seal(temporary)
        self.unsaved.clear()
        self.saved_at = time.monotonic()


def load_cache(folder: Path) -> MeasurementCache:
    """The cache in a folder, which may be absent; raises InputError for one that cannot be read."""
    path = folder / CACHE_NAME
    table = pl.DataFrame(schema=_SCHEMA)
    try:
        if path.is_file() and pl.read_parquet_metadata(path).get("version") == code_version(MEASURING):
            check_seal(path)
            table = pl.read_parquet(path).select(list(_SCHEMA))
    except DamagedError as damage:
        raise DamagedError(f"{damage}: delete it and run again") from damage
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} is no cache of measurements ({error}): delete it and run again") from error
    states: dict[str, State] = {}
    measurements: dict[str, Measurement] = {}
    for place, size, mtime_ns, *cells in table.iter_rows():
        states[place], measurements[place] = (size, mtime_ns), Measurement(*cells)
    return MeasurementCache(path, table, states, measurements)
