"""Reading a store: features by clip and layer, straight from memory-mapped shards."""

import difflib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError

from blended.data.checksums import DamagedError, check_seal_if_any
from blended.data.errors import InputError, unknown_name
from blended.data.features import Features
from blended.data.store.shard import Identity, Notes, Row, checksum, damaged, open_shard, record_of
from blended.data.store.writer import INDEX_NAME


class FeatureStore:
    """A finished store. Can be pickled (a loader's worker opens its own handles)."""

    identity: Identity
    """What the features were made from and with."""
    clips: tuple[str, ...]
    """Ids of the clips that have features, sorted."""
    layers: tuple[str, ...]
    """Names of the encoder's layers, from the lowest to the last."""
    failures: Mapping[str, str]
    """Clip to reason, for clips that could not be encoded; empty unless failures were allowed."""
    notes: Notes
    """What was counted while clips were encoded, such as pictures without a face; often empty."""

    def __init__(self, folder: Path, expected: Identity | None = None) -> None:
        """Raises InputError for an unfinished store, and for one of another identity than the expected."""
        self.folder = folder
        table = _read_index(folder)
        metadata = table.schema.metadata
        self.identity = Identity.from_json(metadata[b"identity"].decode())
        if expected is not None and (differences := self.identity.differences(expected)):
            raise InputError(
                f"the features in {folder} were made otherwise: {'; '.join(differences)}; "
                f"run the extraction again"
            )
        self.failures = json.loads(metadata[b"failures"])
        self.notes = json.loads(metadata.get(b"notes", b"{}"))
        self._rows: dict[str, dict[str, Row]] = {}
        for fields in table.to_pylist():
            row = Row(**fields)
            self._rows.setdefault(row.clip, {})[row.layer] = row
        self.clips = tuple(self._rows)
        self.layers = tuple(dict.fromkeys(layer for rows in self._rows.values() for layer in rows))
        self._checked: set[str] = set()

    def __reduce__(self) -> tuple[type["FeatureStore"], tuple[Path]]:
        return FeatureStore, (self.folder,)

    def __len__(self) -> int:
        return len(self.clips)

    def row(self, clip_id: str, layer: str | None = None) -> Row:
        """The index row of a clip's layer; the last layer if none is named.

        Raises InputError for unknown clips and layers, and for clips that failed.
        """
        if clip_id in self.failures:
            raise InputError(f"clip {clip_id!r} has no features in {self.folder}: {self.failures[clip_id]}")
        if clip_id not in self._rows:
            near = difflib.get_close_matches(clip_id, self.clips, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise InputError(f"clip {clip_id!r} is not among the {len(self)} of {self.folder}{hint}")
        rows = self._rows[clip_id]
        name = self.layers[-1] if layer is None else layer
        if name not in rows:
            raise unknown_name("layer", name, rows)
        return rows[name]

    def read(self, clip_id: str, layer: str | None = None) -> Features:
        """Features of one clip as they lie on disk; the last layer if none is named.

        The checksum is compared on the first read. Raises InputError like `row`, and for a shard that is
        missing, damaged or was replaced by one of another identity since the store was opened.
        """
        row = self.row(clip_id, layer)
        try:
            values = self._shard(row.shard).get_tensor(row.tensor)
        except SafetensorError as error:
            raise damaged(self.folder / row.shard, str(error)) from error
        if row.tensor not in self._checked:
            if checksum(values) != row.checksum:
                raise damaged(self.folder / row.shard, f"the checksum of {row.tensor!r} is wrong")
            self._checked.add(row.tensor)
        return Features(values, row.rate_hz)

    def verify(self) -> None:
        """Reads everything anew; raises InputError that names every damaged or missing shard."""
        self._checked.clear()
        self._handles.clear()
        problems: dict[str, str] = {}
        for clip_id, rows in self._rows.items():
            for layer, row in rows.items():
                if row.shard not in problems:
                    try:
                        self.read(clip_id, layer)
                    except InputError as error:
                        problems[row.shard] = str(error)
        if problems:
            raise InputError("\n".join(problems.values()))

    @cached_property
    def _handles(self) -> dict[str, Any]:
        return {}

    def _shard(self, name: str) -> Any:
        if name not in self._handles:
            path = self.folder / name
            handle = open_shard(path)
            if differences := record_of(handle, path).identity.differences(self.identity):
                raise InputError(
                    f"{path} was replaced while the store was open: {'; '.join(differences)}; "
                    f"open the store again"
                )
            self._handles[name] = handle
        return self._handles[name]


def _read_index(folder: Path) -> pa.Table:
    index = folder / INDEX_NAME
    if not index.is_file():
        found = len([*folder.glob("shard-*.safetensors")]) if folder.is_dir() else 0
        state = f"unfinished ({found} shards, no index)" if found else "empty or does not exist"
        raise InputError(
            f"the feature store {folder} is {state}: run the extraction, which continues where it "
            f"stopped and names clips that cannot be read"
        )
    try:
        check_seal_if_any(index)
        return pq.read_table(index)
    except DamagedError as damage:
        raise DamagedError(f"{damage}: run the extraction again, which rebuilds it") from damage
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{index} is damaged ({error}): run the extraction again, which rebuilds it"
        ) from error
