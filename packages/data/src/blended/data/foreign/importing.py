"""Writing features of others into the feature store, with where they come from and a checksum."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from blended.data.checksums import file_sha256, write_sealed_json
from blended.data.errors import InputError
from blended.data.features import Features
from blended.data.foreign.sources import Source, open_source
from blended.data.foreign.tables import Given, ImportedConfig
from blended.data.store import FeatureStore, Identity, StoreWriter, locked, write_shard

LAYER = "output"
PROVENANCE_NAME = "provenance.json"
SHARD_SIZE = 256
NUM_NAMED = 5
NUM_LOOKED_AT = 8


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    store: Path
    num_clips: int
    """Clips of the corpus that have features now."""
    failures: Mapping[str, str]
    """Clip to reason, for the others."""
    columns: tuple[str, ...]
    """Names of the columns; empty where the source has none."""
    num_unused: int
    """Entries of the source that are no clip of the corpus."""
    num_masked: int
    """Time steps left out in this run: not tracked, or not numbers."""


def identity_of_import(config: ImportedConfig, checksum: str, corpus_hash: str) -> Identity:
    """What the store says about itself; the checksum of the source stands where weights would."""
    return Identity(config.model_dump_json(), checksum, corpus_hash, version("blended-data"))


def import_features(
    source: Path,
    root: Path,
    config: ImportedConfig,
    clips: Mapping[str, float | None],
    *,
    corpus_hash: str,
    log: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
    max_failures: int = 0,
) -> Imported:
    """Fills `root/<config.name>/` with what `source` holds for `clips`, id to seconds (None where unknown).

    What is there already is not read again; killed at any moment it continues where it stopped. Raises
    InputError for a source that holds none of the clips, for different columns in two of its files, and for
    more than `max_failures` clips without features, naming them; such a store stays unfinished.
    """
    opened = open_source(source, config, clips)
    if not clips.keys() & opened.readers.keys():
        ours, theirs = next(iter(sorted(clips)), ""), next(iter(sorted(opened.readers)), "")
        raise InputError(
            f"{source} holds features of none of the {len(clips)} clips: the corpus has {ours!r}, the source "
            f"{theirs!r}; rename one of them, or import the features of this corpus"
        )
    folder = root / config.name
    checksum = _checksum(opened)
    identity = identity_of_import(config, checksum, corpus_hash)
    reader = _Reader(opened, config, clips)
    with locked([folder], log):
        writer = StoreWriter(
            folder, identity, [*clips], shard_size=SHARD_SIZE, max_failures=max_failures, log=log
        )
        pending = writer.pending()
        total, done = sum(len(shard.clips) for shard in pending), 0
        for shard in pending:
            encoded, failures = reader.read(shard.clips)
            write_shard(shard.path, identity, shard.clips, encoded, failures, config.dtype)
            done += len(shard.clips)
            if progress is not None:
                progress(done, total)
        _write_provenance(folder, source, checksum, opened, reader.columns)
        failures = writer.finish()
    unused = len(opened.readers.keys() - clips.keys())
    log(
        f"{folder}: {config.name} of {len(clips) - len(failures)} clips from {source}; {len(failures)} clips "
        f"without, {unused} entries of the source are no clip of the corpus, {reader.num_masked} steps masked"
    )
    _check_failures(failures, max_failures, source)
    return Imported(folder, len(clips) - len(failures), failures, reader.columns, unused, reader.num_masked)


def open_imported(folder: Path, config: ImportedConfig, corpus_hash: str) -> FeatureStore:
    """The store of imported features; raises InputError if it was imported otherwise or for another corpus.

    The source is not looked at: that it has not changed is for the pipeline to know.
    """
    store = FeatureStore(folder)
    expected = identity_of_import(config, store.identity.weights, corpus_hash)
    if differences := store.identity.differences(expected):
        raise InputError(
            f"the features in {folder} were imported otherwise: {'; '.join(differences)}; import them again"
        )
    return store


class _Reader:
    """Reads clips one shard at a time, and holds them to the columns of the first clip."""

    def __init__(self, source: Source, config: ImportedConfig, seconds: Mapping[str, float | None]) -> None:
        self.source = source
        self.config = config
        self.seconds = seconds
        self.columns: tuple[str, ...] = ()
        self.dim = 0
        self.num_masked = 0
        # Whether matrices of one row are meant: then they are vectors of whole clips.
        self.is_vector = config.rate_hz is None
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Learns columns and kind from the first clips, whichever shards an earlier run has written."""
        for clip_id in sorted(self.seconds.keys() & self.source.readers.keys())[:NUM_LOOKED_AT]:
            try:
                given = self.source.readers[clip_id]()
            except InputError:
                continue
            if not self.dim:
                self.columns, self.dim = given.columns, given.values.shape[1]
            self.is_vector &= given.rate_hz == 0 or len(given.values) + given.num_masked == 1

    def read(self, clip_ids: Sequence[str]) -> tuple[dict[str, dict[str, Features]], dict[str, str]]:
        """Clip to layer to features, and clip to reason for those without."""
        encoded: dict[str, dict[str, Features]] = {}
        failures: dict[str, str] = {}
        for clip_id in clip_ids:
            if clip_id not in self.source.readers:
                failures[clip_id] = f"not in {self.source.path}"
                continue
            try:
                encoded[clip_id] = {LAYER: self._features(clip_id, self.source.readers[clip_id]())}
            except InputError as error:
                failures[clip_id] = str(error)
        return encoded, failures

    def _features(self, clip_id: str, given: Given) -> Features:
        values = given.values
        if {*given.columns} != {*self.columns} or values.shape[1] != self.dim:
            other = sorted({*given.columns} ^ {*self.columns})[:NUM_NAMED] or [f"{values.shape[1]} columns"]
            raise InputError(
                f"{clip_id} has other columns than the first clip ({', '.join(other)}; {self.dim} expected)"
            )
        if self.is_vector and len(values) > 1:
            raise InputError(f"{clip_id} has {len(values)} steps, the first clips have one: give `rate_hz`")
        if given.columns != self.columns:
            values = values[:, [given.columns.index(name) for name in self.columns]]
        self.num_masked += given.num_masked
        return Features(np.asarray(values), self._rate(clip_id, given))

    def _rate(self, clip_id: str, given: Given) -> float:
        if self.is_vector or given.rate_hz == 0:
            return 0.0
        seconds = self.seconds[clip_id]
        known = self.config.rate_hz or given.rate_hz
        if known is None and not seconds:
            raise InputError(f"nothing says how many steps a second {clip_id} has: give `rate_hz`")
        return float(known or (len(given.values) + given.num_masked) / (seconds or 1.0))


def _checksum(source: Source) -> str:
    """SHA-256 over the names and the contents of all files of a source."""
    base = source.path if source.path.is_dir() else source.path.parent
    hashes = [(path.relative_to(base).as_posix(), file_sha256(path)) for path in source.files]
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def _write_provenance(
    folder: Path, source: Path, checksum: str, opened: Source, columns: tuple[str, ...]
) -> None:
    """Beside the shards, for people: what the store was made from and what its columns are."""
    fields = {
        "source": source.name,
        "files": len(opened.files),
        "sha256": checksum,
        "columns": [*columns],
    }
    write_sealed_json(folder / PROVENANCE_NAME, fields)


def _check_failures(failures: Mapping[str, str], max_failures: int, source: Path) -> None:
    if len(failures) > max_failures:
        listed = [f"  {clip}: {reason}" for clip, reason in sorted(failures.items())[:NUM_NAMED]]
        more = [f"  and {len(failures) - NUM_NAMED} more"] if len(failures) > NUM_NAMED else []
        raise InputError(
            f"{len(failures)} clips have no features in {source} and at most {max_failures} may lack them: "
            f"add these, leave the clips out through exclude.yaml, or allow as many failures:\n"
            + "\n".join(listed + more)
        )
