"""Safetensors files: equal content, equal bytes, in any process; every flipped bit is found."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from blended.data.checksums import append_seal, check_seal, is_sealed, seal, write_tensors
from blended.data.errors import InputError

TURNED = np.arange(12, dtype=np.float32).reshape(3, 4).T
TENSORS = {
    "turned": TURNED,
    "every_other": np.arange(10)[::2],
    "number": np.array(2.5),
    "half": np.ones((2, 2), np.float16),
}
WORDS = {"später": 'with "quotes",\n\ttabs \\ and \x1f', "recipe": "early-all", "a": "", "b": "2", "c": "3"}

SCRIPT = """\
import sys
from pathlib import Path
import numpy as np
from blended.data.checksums import write_tensors
names = {"one", "two", "three", "four", "five"}
write_tensors(Path(sys.argv[1]), {n: np.arange(len(n)) for n in names}, {n: n.upper() for n in names})
"""


def test_what_is_written_is_read_by_the_library(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    write_tensors(path, TENSORS, WORDS)
    read = load_file(path)
    assert read.keys() == TENSORS.keys()
    for name, values in TENSORS.items():
        assert read[name].shape == values.shape and read[name].dtype == values.dtype
        np.testing.assert_array_equal(read[name], values)
    with safe_open(path, "np") as file:
        assert {name: text for name, text in file.metadata().items() if name != "seal"} == WORDS


def test_equal_content_gives_equal_bytes_in_any_process(tmp_path: Path) -> None:
    made: set[bytes] = set()
    for number in range(6):
        path = tmp_path / f"{number}.safetensors"
        environment = {**os.environ, "PYTHONHASHSEED": str(number)}
        subprocess.run([sys.executable, "-c", SCRIPT, str(path)], env=environment, check=True)
        made.add(path.read_bytes())
    assert len(made) == 1


def test_order_and_memory_layout_do_not_matter(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    write_tensors(paths[0], TENSORS, WORDS)
    other = {name: np.asarray(values, order="F") for name, values in reversed(TENSORS.items())}
    write_tensors(paths[1], other, dict(reversed(WORDS.items())))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"x": np.arange(6.0)}, {"recipe": "late"})
    check_seal(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            with pytest.raises(InputError, match=r"t\.safetensors is damaged"):
                check_seal(path)
    for cut in (b"", whole[:-1], whole[:40], whole + b"x"):
        path.write_bytes(cut)
        with pytest.raises(InputError, match=r"t\.safetensors is damaged"):
            check_seal(path)


def test_a_file_of_others_has_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "plain.npy"
    np.save(path, np.arange(5))
    assert not is_sealed(path)
    with pytest.raises(InputError, match="of before checksums: it has no seal"):
        check_seal(path)
    with pytest.raises(ValueError, match="has no blank seal"):
        seal(path)
    append_seal(path)
    check_seal(path)
    np.testing.assert_array_equal(np.load(path, mmap_mode="c"), np.arange(5))
