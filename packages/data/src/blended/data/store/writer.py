"""Writing a store: which shards are missing, and the index once none is.

The order of steps is what survives a kill at any moment: the index goes before the first shard changes,
shards appear whole through a rename, and the index comes back when every shard of the plan is there.
"""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from blended.data.atomic import replacing
from blended.data.checksums import BLANK_SEAL, SEAL_KEY, DamagedError, check_seal, seal
from blended.data.errors import InputError
from blended.data.store.shard import Identity, Row, ShardRecord, checked_record, read_record

INDEX_NAME = "index.parquet"
INDEX_SCHEMA = pa.schema(
    [
        pa.field("clip", pa.string(), nullable=False),
        pa.field("layer", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("num_frames", pa.int32(), nullable=False),
        pa.field("dim", pa.int32(), nullable=False),
        pa.field("rate_hz", pa.float64(), nullable=False),
        pa.field("dtype", pa.string(), nullable=False),
        pa.field("checksum", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A slice of the sorted clip ids and the file that it goes to."""

    path: Path
    clips: tuple[str, ...]


@contextmanager
def locked(folders: Sequence[Path], log: Callable[[str], None]) -> Generator[None]:
    """Holds the write locks of several stores; a second process waits here until the first is done.

    Locks lie beside the folders, not in them, so that a store's content is nothing but its features.
    They are taken in the order of their names: two processes with overlapping stores cannot deadlock.
    """
    with ExitStack() as stack:
        for folder in sorted(folders):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.parent / f".{folder.name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                log(f"{folder}: another process is writing this store; waiting for it")
                lock.acquire()
            stack.callback(lock.release)
        yield


class StoreWriter:
    """The plan of a store and what of it is on disk. Use it with the store's lock held.

    Creating one removes whatever is not part of the plan: temporary files of a killed run, shards of
    another identity or of another slicing, shards with a byte that is not as it was written, and the index
    while anything is missing or where it is damaged itself.
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        clip_ids: Sequence[str],
        *,
        shard_size: int = 32,
        max_failures: int = 0,
        log: Callable[[str], None],
    ) -> None:
        """`shard_size` is in clips; with more than `max_failures` failed clips there is no index."""
        self.folder = folder
        self.identity = identity
        self.max_failures = max_failures
        ordered = sorted(clip_ids)
        slices = [tuple(ordered[i : i + shard_size]) for i in range(0, len(ordered), shard_size)]
        self.plan = tuple(
            ShardPlan(folder / f"shard-{number:05d}.safetensors", clips)
            for number, clips in enumerate(slices)
        )
        self._tidy(log)

    def _tidy(self, log: Callable[[str], None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        clips_of = {shard.path: shard.clips for shard in self.plan}
        stale: list[str] = []
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.name.startswith("."):
                continue  # A temporary file; removed below.
            try:
                record = checked_record(path)
            except InputError as error:
                stale.append(str(error))
            else:
                if record.identity == self.identity and record.clips == clips_of.get(path):
                    continue
                differences = record.identity.differences(self.identity) or ["its clips are others"]
                stale.append(f"{path}: {differences[0]}")
            path.unlink()
        if stale:
            log(f"{self.folder}: {len(stale)} shards are computed again; the first: {stale[0]}")
        for temporary in self.folder.glob(".*.tmp.*"):
            temporary.unlink()
        index = self.folder / INDEX_NAME
        if self.pending():
            index.unlink(missing_ok=True)
        elif index.is_file() and (damage := _damage(index)):
            log(f"{damage}: it is put together again")
            index.unlink()

    def records(self) -> list[ShardRecord]:
        """What the finished shards say about themselves, in the order of the plan."""
        return [read_record(shard.path) for shard in self.plan if shard.path.exists()]

    def failures(self) -> dict[str, str]:
        """Clip to reason, over all finished shards."""
        return {clip: reason for record in self.records() for clip, reason in record.failures.items()}

    def notes(self) -> dict[str, Mapping[str, int]]:
        """What was counted while clips were encoded, over all finished shards."""
        return {clip: counts for record in self.records() for clip, counts in record.notes.items()}

    def pending(self) -> list[ShardPlan]:
        """The shards to compute.

        Those that are missing, and, where more clips failed than are allowed, those with failures: their
        clips may have been repaired since.
        """
        retry: frozenset[str] = frozenset()
        if len(failures := self.failures()) > self.max_failures:
            retry = frozenset(failures)
        return [shard for shard in self.plan if not shard.path.exists() or retry & {*shard.clips}]

    def finish(self) -> dict[str, str]:
        """Writes the index if every shard is there and failures are within bounds; returns the failures."""
        failures = self.failures()
        if self.pending():
            return failures
        index = self.folder / INDEX_NAME
        if not index.exists():
            metadata = {
                "identity": self.identity.to_json(),
                "failures": json.dumps(failures),
                "num_clips": str(sum(len(shard.clips) for shard in self.plan)),
                SEAL_KEY: BLANK_SEAL,
            }
            if notes := self.notes():
                metadata["notes"] = json.dumps(notes)
            rows = [row for record in self.records() for row in record.rows]
            columns = {field.name: [getattr(row, field.name) for row in rows] for field in fields(Row)}
            table = pa.table(columns, schema=INDEX_SCHEMA.with_metadata(metadata))
            with replacing(index) as temporary:
                pq.write_table(table, temporary)
                seal(temporary)
        return failures


def _damage(index: Path) -> str:
    """In words; an index of before checksums, which has no seal, is put together again too."""
    try:
        check_seal(index)
    except DamagedError as damage:
        return str(damage)
    return ""
