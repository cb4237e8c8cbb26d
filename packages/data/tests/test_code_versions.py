"""What changes the version of code: what a computation can reach, and nothing else."""

import importlib.util
import sys
from pathlib import Path

import pytest

from blended.data.code_versions import Sources, code_version, definitions_reached, installed, library_versions

FILES = {
    "start.py": '''
"""What is asked about."""
import math
from typing import TYPE_CHECKING

import numpy as np

from blended.toy import parts
from blended.toy.tables import TABLE
from blended.toy.passing import passed_on

if TYPE_CHECKING:
    from blended.toy.parts import unused

LIMIT = 3


class Record:
    """Words."""

    size: int = LIMIT
    """More words."""

    def area(self) -> float:
        return parts.square(self.size)


def start(name: str) -> float:
    """Says so."""
    from blended.toy.parts import late

    if name not in TABLE:
        raise KeyError(f"no {name}")
    return TABLE[name](Record().area()) + late() + passed_on() + np.sqrt(math.pi)
''',
    "parts.py": """
def square(x): return x * x
def late(): return _hidden()
def _hidden(): return 1
def unused(): return 2
""",
    "tables.py": """
from blended.toy.entries import one, two
TABLE = {"one": one, "two": two}
""",
    "entries.py": """
def one(x): return x + 1
def two(x): return x + 2
""",
    "passing.py": "from blended.toy.deep import passed_on\n",
    "deep.py": """
import sys
SEEN = []
SEEN.append(sys.version)
def passed_on(): return 7
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def made(folder: Path, keys: set[str] | None = None, without: tuple[str, ...] = ()) -> str:
    chosen = {} if keys is None else {"blended.toy.tables:TABLE": keys}
    return code_version(["blended.toy.start:start"], chosen, without, Sources({"blended.toy": folder}))


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("parts.py", "x * x", "x * x * x", True),  # Through a module, from a method of a class.
        ("parts.py", "return 1", "return 1.5", True),  # Two calls away, from an import within a function.
        ("start.py", "LIMIT = 3", "LIMIT = 4", True),
        ("entries.py", "x + 1", "x + 3", True),
        ("deep.py", "return 7", "return 8", True),  # Through a module that only passes it on.
        ("deep.py", "SEEN.append(sys.version)", "SEEN.append(sys.path)", True),  # Runs on import.
        ("start.py", "np.sqrt", "np.cbrt", True),
        ("parts.py", "return 2", "return 3", False),  # Imported for its type only.
        ("start.py", '"""Says so."""', '"""Says more."""', False),
        ("start.py", '"""More words."""', "# a remark", False),
        ("start.py", 'f"no {name}"', 'f"there is no {name!r}"', False),
        ("parts.py", "def square(x): return x * x", "def square(\n    x,\n):\n    return (x * x)", False),
    ],
)
def test_what_counts(folder: Path, file: str, old: str, new: str, counts: bool) -> None:
    before = made(folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    assert (made(folder) != before) == counts


def test_a_table_leads_to_the_chosen_entries_only(folder: Path) -> None:
    both, first = made(folder), made(folder, {"one"})
    assert len({both, first, made(folder, {"two"}), made(folder, set())}) == 4
    text = (folder / "entries.py").read_text()
    (folder / "entries.py").write_text(text.replace("x + 2", "x + 22"))
    assert made(folder) != both and made(folder, {"one"}) == first
    (folder / "tables.py").write_text(
        'from blended.toy.entries import one, two\nTABLE = {"one": one, "two": two, "three": two}\n'
    )
    assert made(folder, {"one"}) == first


def test_modules_can_be_left_out(folder: Path) -> None:
    before = made(folder, without=("blended.toy.deep",))
    (folder / "deep.py").write_text("def passed_on(): return 0\n")
    assert made(folder, without=("blended.toy.deep",)) == before


def test_what_does_not_exist_is_said(folder: Path) -> None:
    sources = Sources({"blended.toy": folder})
    with pytest.raises(LookupError, match=r"there is no 'stop' in blended\.toy\.start"):
        code_version(["blended.toy.start:stop"], sources=sources)
    with pytest.raises(LookupError, match=r"no module 'blended\.toy\.end'"):
        code_version(["blended.toy.end:start"], sources=sources)


def test_every_definition_of_the_installed_rooms_is_read() -> None:
    reached = definitions_reached([Sources.module, code_version])
    assert ("blended.data.definitions", "Module") in reached
    assert {module for module, _ in reached} == {"blended.data.code_versions", "blended.data.definitions"}
    assert "blended.data" in installed().folders


def test_versions_of_libraries_that_are_not_here_are_left_out() -> None:
    found = library_versions(["numpy", "no-such-distribution"])
    assert [*found] == ["numpy"] and found["numpy"][0].isdigit()


def test_somebody_elses_class_is_read_from_its_own_file(tmp_path: Path) -> None:
    def made(factor: int) -> str:
        name = f"their_encoder_{factor}"
        file = tmp_path / f"{name}.py"
        file.write_text(
            "from blended.data.errors import some\n\n"
            f"class Theirs:\n    def encode(self): return {factor} * len(some([]))\n"
        )
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        reached = definitions_reached([module.Theirs])
        assert {place for place in reached if place[0] != name} == {
            ("blended.data.errors", "some"),
            ("blended.data.errors", "NUM_NAMED"),
        }
        return reached[name, "Theirs"]

    assert made(2) != made(3)
