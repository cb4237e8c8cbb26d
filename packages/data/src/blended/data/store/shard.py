"""One shard: a safetensors file with the features of a fixed slice of the clips.

Tensors are named `<clip>/<layer>` and are [time, dim]. The header carries an entry `blended`: the
identity, the clips of the slice, the index rows, the clips that failed and, where there are any, notes on
clips. That makes a shard complete in itself: the index can be rebuilt from shards, and a shard of another
identity is recognised.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from blended.data.checksums import check_seal, is_sealed, write_tensors
from blended.data.errors import InputError
from blended.data.features import Features


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that decides the values in a store."""

    encoder: str
    """The encoder's config as JSON, its `name` included."""
    weights: str
    """SHA-256 of the weights file; `random` for untrained networks, `none` for encoders without weights."""
    corpus: str
    """Hash of the corpus whose clips were encoded."""
    version: str
    """Of the code that made the features: distribution, and the encoder's files where it has some."""

    def __post_init__(self) -> None:
        """Raises InputError unless `encoder` is a JSON object; rewrites it with sorted keys."""
        try:
            config = json.loads(self.encoder)
        except json.JSONDecodeError as error:
            raise InputError(
                f"an encoder's identity must be its config as JSON, got {self.encoder!r}"
            ) from error
        if not isinstance(config, dict):
            raise InputError(f"an encoder's identity must be a JSON object, got {self.encoder!r}")
        object.__setattr__(self, "encoder", json.dumps(config, sort_keys=True))

    @property
    def encoder_name(self) -> str:
        """The `name` of the config; empty if it has none."""
        return str(json.loads(self.encoder).get("name", ""))

    def to_json(self) -> str:
        """A JSON object with sorted keys; `from_json` is the inverse."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Identity":
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))

    def differences(self, expected: "Identity") -> list[str]:
        """In words, what this identity has other than the expected one; empty if they are equal.

        >>> made = Identity('{"name": "logmel", "num_bins": 80}', "none", "c1", "0.1.0")
        >>> made.differences(Identity('{"name": "logmel", "num_bins": 64}', "none", "c2", "0.1.0"))
        ['encoder num_bins is 80, expected 64', "corpus is 'c1', expected 'c2'"]
        """
        mine, theirs = json.loads(self.encoder), json.loads(expected.encoder)
        pairs = [(f"encoder {key}", mine.get(key), theirs.get(key)) for key in sorted({*mine, *theirs})]
        pairs += [
            ("weights", self.weights, expected.weights),
            ("corpus", self.corpus, expected.corpus),
            ("version", self.version, expected.version),
        ]
        return [
            f"{field} is {made!r}, expected {wanted!r}" for field, made, wanted in pairs if made != wanted
        ]


DType = Literal["float16", "float32"]

Notes = Mapping[str, Mapping[str, int]]
"""Clip to what was counted while it was encoded, such as `pictures_without_face`."""

METADATA_KEY = "blended"


@dataclass(frozen=True, slots=True)
class Row:
    """One layer of one clip, as the index lists it."""

    clip: str
    layer: str
    shard: str
    """File name within the store's folder."""
    num_frames: int
    """Time steps, at least 1."""
    dim: int
    rate_hz: float
    """Time steps per second; 0 for one vector per clip."""
    dtype: DType
    checksum: str
    """SHA-256 over the values' bytes, little-endian, row by row."""

    @property
    def tensor(self) -> str:
        """The tensor's name within the shard."""
        return f"{self.clip}/{self.layer}"


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What a shard says about itself."""

    identity: Identity
    clips: tuple[str, ...]
    """The whole slice, failed clips included."""
    rows: tuple[Row, ...]
    failures: Mapping[str, str]
    """Clip to reason, for clips that have no rows."""
    notes: Notes
    """Of the clips on which there is something to say."""


def checksum(values: NDArray[np.generic]) -> str:
    """SHA-256 over the bytes of an array as it lies on disk."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def write_shard(
    path: Path,
    identity: Identity,
    clips: Sequence[str],
    encoded: Mapping[str, Mapping[str, Features]],
    failures: Mapping[str, str],
    dtype: DType = "float16",
    notes: Notes | None = None,
) -> None:
    """Writes the features of a slice through a temporary name.

    `encoded` maps clip to layer to features; every clip of the slice is in `encoded` or in `failures`.
    Raises InputError for values beyond the range of `dtype`, and for a clip in neither or in both.
    """
    if {*encoded} & {*failures} or {*encoded} | {*failures} != {*clips}:
        raise InputError(f"{path.name}: every clip of a shard must have either features or a reason why not")
    tensors: dict[str, NDArray[np.generic]] = {}
    rows: list[Row] = []
    for clip in clips:
        for layer, features in encoded.get(clip, {}).items():
            values = as_stored(features, dtype, f"{identity.encoder_name}, clip {clip!r}, layer {layer!r}")
            num_frames, dim = values.shape
            row = Row(clip, layer, path.name, num_frames, dim, features.rate_hz, dtype, checksum(values))
            tensors[row.tensor] = values
            rows.append(row)
    record: dict[str, object] = {
        "identity": asdict(identity),
        "clips": [*clips],
        "rows": [asdict(row) for row in rows],
        "failures": dict(sorted(failures.items())),
    }
    if notes:
        record["notes"] = {clip: dict(sorted(counts.items())) for clip, counts in sorted(notes.items())}
    write_tensors(path, tensors, {METADATA_KEY: json.dumps(record)})


def as_stored(features: Features, dtype: DType, what: str) -> NDArray[np.floating]:
    """The values in their type on disk; raises InputError for those beyond its range.

    `what` names them in the message. A silent infinity would surface as NaN in a loss, much later.
    """
    largest = float(np.finfo(dtype).max)
    peak = float(np.abs(features.values).max())
    if peak > largest:
        raise InputError(
            f"{what}: {peak:.6g} is beyond the range of {dtype} (at most {largest:g}); "
            f'an encoder with such values must say dtype "float32"'
        )
    return np.ascontiguousarray(features.values, dtype=dtype)


def open_shard(path: Path) -> Any:
    """A handle on the memory-mapped file; raises InputError that names a missing or damaged shard."""
    try:
        return safe_open(path, framework="numpy")
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: run the extraction again to restore it") from error
    except (SafetensorError, OSError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> InputError:
    """The error for a shard whose bytes are not what was written."""
    return InputError(f"{path} is damaged ({reason}): delete it and run the extraction again")


def read_record(path: Path) -> ShardRecord:
    """What the shard says about itself; raises InputError if it is missing, damaged or not a shard."""
    return record_of(open_shard(path), path)


def checked_record(path: Path) -> ShardRecord:
    """The same, after every byte was looked at; raises InputError for one that is not as it was written."""
    if is_sealed(path):
        check_seal(path)
        return read_record(path)
    # Of before seals: the values have checksums, the header has none.
    handle = open_shard(path)
    record = record_of(handle, path)
    for row in record.rows:
        try:
            values = handle.get_tensor(row.tensor)
        except SafetensorError as error:
            raise damaged(path, str(error)) from error
        if checksum(values) != row.checksum:
            raise damaged(path, f"the checksum of {row.tensor!r} is wrong")
    return record


def record_of(handle: Any, path: Path) -> ShardRecord:
    """The record of an open shard; `path` is for the error only."""
    try:
        record = json.loads(handle.metadata()[METADATA_KEY])
        return ShardRecord(
            Identity(**record["identity"]),
            tuple(record["clips"]),
            tuple(Row(**row) for row in record["rows"]),
            record["failures"],
            record.get("notes", {}),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise damaged(path, "its header is not one of a feature store") from error
