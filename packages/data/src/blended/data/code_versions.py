"""Which code a stored number came from: a hash over the definitions that its computation can reach.

What is reached is found from the sources alone, definition by definition: a function, a class or a constant
leads to every definition of `blended` that it names, through imports at the top of a file and within
functions. Comments, docstrings, formatting and the wording of errors do not count, so that tidying makes
nothing stale; of definitions that are not reached nothing counts either. A table that names components
(`FUSIONS`, `DECISIONS`) leads only to the entries that are chosen. Of other distributions the version has to
do (`library_versions`).
"""

import functools
import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from blended.data.definitions import Definition, Module, Place, analysed

ROOMS = ("blended.data", "blended.encoders", "blended.fusion", "blended.eval", "blended.studies")
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "torchaudio", "av", "opencv-python-headless")
"""Distributions that compute what is stored."""

Root = Callable[..., Any] | type | str
"""A function or class, wherever it is defined, or its place as `module:name`."""
Chosen = Mapping[str, Collection[str]]
"""Table, as `module:name`, -> the keys that are used."""


def code_version(
    roots: Iterable[Root],
    chosen: Chosen | None = None,
    without: Collection[str] = (),
    sources: "Sources | None" = None,
) -> str:
    """Sixteen hexadecimal digits over all that the roots lead to.

    Of a table in `chosen` only the entries under these keys are followed. Modules in `without`, those below
    them, and definitions (`module:name`) are left out. `sources` is the code that is installed, unless
    another copy is given. Raises LookupError for a root or a table that does not exist.
    """
    reached = definitions_reached(roots, chosen, without, sources)
    lines = sorted(f"{module}:{name} {hashed}" for (module, name), hashed in reached.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Distribution -> version, of those that are installed: without an optional one, nothing ran in it."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def definitions_reached(
    roots: Iterable[Root],
    chosen: Chosen | None = None,
    without: Collection[str] = (),
    sources: "Sources | None" = None,
) -> dict[Place, str]:
    """(module, name) of every definition that the roots lead to, -> a hash of what it says."""
    sources = sources or installed()
    tables = {_split(place): frozenset(keys) for place, keys in (chosen or {}).items()}
    for module, name in tables:
        sources.module(module).definition(name)
    below = tuple(f"{one}{sign}" for one in without for sign in ":.")
    waiting = [place for root in roots for place in sources.places(root)]
    found: dict[Place, str] = {}
    while waiting:
        at = waiting.pop()
        place = ":".join(at)
        if at in found or place in without or place.startswith(below):
            continue
        module = sources.module(at[0])
        definition = module.definition(at[1])
        if at in tables:
            definition = definition.only(tables[at])
        found[at] = definition.hash
        waiting += [(module.name, effect) for effect in module.effects]
        waiting += sources.leading_on(at, module, definition)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Packages as they lie on disk; every file is read once."""

    folders: Mapping[str, Path]
    """Package, such as `blended.data` -> its folder."""
    read: dict[str, Module | None] = field(default_factory=dict[str, Module | None])
    """Modules that were looked for, by name; None for those that are not there."""
    found: dict[tuple[str, str, str], list[Place]] = field(
        default_factory=dict[tuple[str, str, str], list[Place]]
    )
    """Where definitions lead, by place and hash: the same for everybody who asks."""
    texts: Mapping[Path, bytes] = field(default_factory=dict[Path, bytes])
    """Files as they were at one moment; others are read when they are reached."""

    def module(self, name: str) -> Module:
        """Raises LookupError for a module that is in none of the folders."""
        found = self._find(name)
        if found is None:
            raise LookupError(f"there is no module {name!r} in any of {', '.join(self.folders)}")
        return found

    def places(self, root: Root) -> list[Place]:
        """Where a root is defined; raises LookupError if it is nowhere.

        A class or function of somebody else's module, such as an encoder of their own, is read from there.
        """
        named = root if isinstance(root, str) else f"{root.__module__}:{root.__qualname__.split('.')[0]}"
        module, name = _split(named)
        if not isinstance(root, str) and self._find(module) is None:
            file = Path(inspect.getfile(root))
            self.read[module] = analysed(module, file.read_bytes(), file.name == "__init__.py")
        if not (found := [*self._imported((module, name), [])]):
            self.module(module).definition(name)
        return found

    def leading_on(self, at: Place, module: Module, definition: Definition) -> list[Place]:
        """Where the names in a definition are defined, as far as that is in one of the folders."""
        key = (*at, definition.hash)
        if key not in self.found:
            named = (self._named(module, definition, *dotted.split(".")) for dotted in definition.uses)
            self.found[key] = [place for places in named for place in places]
        return self.found[key]

    def _named(self, module: Module, definition: Definition, first: str, *rest: str) -> Iterator[Place]:
        imported = definition.imports.get(first) or module.imports.get(first)
        if imported is not None:
            yield from self._imported(imported, [*rest])
        elif first in module.definitions:
            yield module.name, first

    def _imported(self, imported: Place, rest: list[str]) -> Iterator[Place]:
        """The definition behind an import, through modules that only pass it on."""
        name, thing = imported
        if thing and self._find(f"{name}.{thing}"):
            name, thing = f"{name}.{thing}", ""
        if not thing:
            while rest and self._find(f"{name}.{rest[0]}"):
                name, rest = f"{name}.{rest[0]}", rest[1:]
            thing, rest = (rest[0], rest[1:]) if rest else ("", [])
        module = self._find(name)
        if module is None:
            return
        if thing in module.definitions:
            yield name, thing
        elif thing in module.imports:
            yield from self._imported(module.imports[thing], rest)
        elif not thing:  # The module itself is handed on: all of it may be used.
            yield from ((name, one) for one in module.definitions)

    def _find(self, name: str) -> Module | None:
        if name not in self.read:
            path = self._file_of(name)
            self.read[name] = path and analysed(
                name,
                self.texts[path] if path in self.texts else path.read_bytes(),
                path.name == "__init__.py",
            )
        return self.read[name]

    def _file_of(self, name: str) -> Path | None:
        parts = name.split(".")
        folder = self.folders.get(".".join(parts[:2]))
        if folder is None:
            return None
        path = folder.joinpath(*parts[2:])
        places = (path.with_suffix(".py"), path / "__init__.py")
        return next((p for p in places if p in self.texts or p.is_file()), None)


@functools.cache
def installed() -> Sources:
    """The rooms of `blended` that are installed, all files as they were when this process first asked.

    Whoever computes for long asks at its start: what is edited later is not the code that runs.
    """
    specs = {room: find_spec(room) for room in ROOMS}
    folders = {room: Path(spec.origin).parent for room, spec in specs.items() if spec and spec.origin}
    files = (file for folder in folders.values() for file in sorted(folder.rglob("*.py")))
    return Sources(folders, texts={file: file.read_bytes() for file in files})


def _split(place: str) -> Place:
    module, _, name = place.partition(":")
    return module, name
