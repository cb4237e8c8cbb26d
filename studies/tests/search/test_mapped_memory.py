"""Pooled features are read once and held once, by however many processes of a machine."""

from pathlib import Path

import pytest
import torch

from blended.studies.search import mapped_memory
from blended.studies.search.mapped_memory import MappedMemory

KEY = ("vectors", "logmel", ("a", "b"))
ROWS, COLUMNS = 4096, 1024


def values() -> torch.Tensor:
    return torch.arange(ROWS * COLUMNS, dtype=torch.float32).reshape(ROWS, COLUMNS)


def private_bytes(folder: Path) -> int:
    """Of the pages of files in a folder that are mapped here, those that are mapped only once."""
    private, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            inside = str(folder) in line
        elif inside and line.startswith(("Private_Clean", "Private_Dirty")):
            private += int(line.split()[1]) * 1024
    return private


def test_what_one_worker_pooled_another_maps(tmp_path: Path) -> None:
    ours, others = MappedMemory(tmp_path, print), MappedMemory(tmp_path, print)
    assert KEY not in ours
    ours[KEY] = values()
    assert KEY in others
    assert ours.mapped_bytes == others.mapped_bytes == ROWS * COLUMNS * 4
    assert torch.equal(ours[KEY], values()) and torch.equal(others[KEY], values())
    assert private_bytes(tmp_path) < ROWS * COLUMNS * 4 / 100, "both read the same pages"
    del others
    assert private_bytes(tmp_path) > ROWS * COLUMNS * 4 / 2, "that this can be seen at all"


def test_nobody_can_change_what_others_map(tmp_path: Path) -> None:
    ours, others = MappedMemory(tmp_path, print), MappedMemory(tmp_path, print)
    ours[KEY] = values()
    assert KEY in others
    ours[KEY].zero_()
    assert torch.equal(others[KEY], values())
    assert len(list(tmp_path.iterdir())) == 1, "nothing half-written"


def test_what_is_no_matrix_stays_in_the_process(tmp_path: Path) -> None:
    ours, others = MappedMemory(tmp_path, print), MappedMemory(tmp_path, print)
    ours["sequences",] = object()
    assert ("sequences",) in ours and ("sequences",) not in others
    assert KEY not in ours, "another key is another file"


def test_who_edits_the_pooling_gets_new_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = MappedMemory(tmp_path, print)
    ours[KEY] = values()
    monkeypatch.setattr(mapped_memory, "pooling_version", lambda: "another")
    assert KEY not in MappedMemory(tmp_path, print)


def test_a_damaged_matrix_is_said_and_pooled_anew(tmp_path: Path) -> None:
    said: list[str] = []
    MappedMemory(tmp_path, said.append)[KEY] = values()
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    another = MappedMemory(tmp_path, said.append)
    assert KEY not in another
    assert len(said) == 1 and f"{path} is damaged" in said[0] and said[0].endswith("it is pooled anew")
    another[KEY] = values()
    third = MappedMemory(tmp_path, said.append)
    assert KEY in third and torch.equal(third[KEY], values()) and len(said) == 1
