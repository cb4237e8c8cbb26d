"""The one way in which safetensors files are written: equal content gives equal bytes, with a seal.

The library keeps metadata in an unordered map, so that two files of equal content differ, and writes arrays
in the order of their memory, which turns transposed ones around.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from blended.data.atomic import replacing
from blended.data.checksums import BLANK_SEAL, SEAL_KEY, seal

METADATA = "__metadata__"
_LENGTH_BYTES = 8


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays by name, any shape, and metadata; whole or not at all.

    The file depends on names, values and metadata alone: not on their order, on the memory layout of the
    arrays or on the process. `check_seal` says whether it is as it was written.
    """
    # Not ascontiguousarray, which makes a vector of a single number.
    rows = {name: np.asarray(values, order="C") for name, values in tensors.items()}
    with replacing(path) as temporary:
        save_file(rows, temporary, {**(metadata or {}), SEAL_KEY: BLANK_SEAL})
        _order_metadata(temporary)
        seal(temporary)


def _order_metadata(path: Path) -> None:
    """Sorts the metadata in a file's header, which stays as long as it is."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        ordered = {METADATA: dict(sorted(header.pop(METADATA).items())), **header}
        text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise ValueError(f"{path}: the header of {length} bytes became {len(text)} by sorting")
        file.seek(_LENGTH_BYTES)
        file.write(text.ljust(length))
