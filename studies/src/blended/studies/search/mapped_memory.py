"""Pooled features as files that all processes of a machine map: read once, held once, however many workers.

The system keeps the pages of a mapped file once per machine and lends them to whoever maps it. The folder is
on the file system that all machines see, so one of them pools and the others map what it wrote.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from blended.data.atomic import replacing
from blended.data.checksums import DamagedError, append_seal, check_seal
from blended.encoders.identity import pooling_version
from blended.fusion.strategy import Memory


class MappedMemory(Memory):
    """A `Memory` whose matrices are backed by files; what is not a matrix stays in this process."""

    def __init__(self, folder: Path, log: Callable[[str], None]) -> None:
        """`folder` may be deleted whenever nobody works; `log` is told of damaged files in it."""
        super().__init__()
        self.folder = folder
        self.log = log
        self._made_by = pooling_version()

    def __contains__(self, key: object) -> bool:
        """Whether it was read here, or by another process."""
        if super().__contains__(key):
            return True
        path = self._path(key)
        if not path.is_file():
            return False
        try:
            check_seal(path)
        except DamagedError as damage:
            self.log(f"{damage}: it is pooled anew")
            return False
        super().__setitem__(_as_key(key), _mapped(path))
        return True

    def __setitem__(self, key: tuple[object, ...], value: Any) -> None:
        """Writes a matrix and maps what was written; two processes that do so at once write the same."""
        if not isinstance(value, Tensor) or value.is_cuda:
            super().__setitem__(key, value)
            return
        path = self._path(key)
        with replacing(path) as temporary:
            np.save(temporary, value.numpy(), allow_pickle=False)
            append_seal(temporary)
        super().__setitem__(key, _mapped(path))

    @property
    def mapped_bytes(self) -> int:
        """Of all matrices that this process maps; shared with the machine's other processes."""
        return sum(one.nbytes for one in self.values() if isinstance(one, Tensor))

    def _path(self, key: object) -> Path:
        """Named by all that the values depend on, the code that pools included."""
        named = repr((self._made_by, key))
        return self.folder / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.npy"


def _mapped(path: Path) -> Tensor:
    # Copy on write: torch wants memory that may be written to, and the file must not change.
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


def _as_key(key: object) -> tuple[object, ...]:
    assert isinstance(key, tuple)
    return key
