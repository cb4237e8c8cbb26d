"""Which code a stored number came from: a hash over the definitions that its computation can reach.

What is reached is found from the sources alone, definition by definition: a function, a class or a constant
leads to every definition of `blended` that it names, through imports at the top of a file and within
functions. Comments, docstrings, formatting and the wording of errors do not count, so that tidying makes
nothing stale; of definitions that are not reached nothing counts either. A table that names components
(`FUSIONS`, `DECISIONS`) leads only to the entries that are chosen. Of other distributions the version has to
do (`library_versions`).
"""

import ast
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
) -> dict[tuple[str, str], str]:
    """(module, name) of every definition that the roots lead to, -> a hash of what it says."""
    sources = sources or installed()
    tables = {_split(place): frozenset(keys) for place, keys in (chosen or {}).items()}
    for module, name in tables:
        sources.module(module).definition(name)
    waiting = [place for root in roots for place in sources.places(root)]
    found: dict[tuple[str, str], str] = {}
    while waiting:
        at = waiting.pop()
        if at in found or any(f"{at[0]}:{at[1]}".startswith((f"{one}:", f"{one}.")) for one in without):
            continue
        if ":".join(at) in without:
            continue
        module = sources.module(at[0])
        definition = module.definition(at[1])
        if at in tables:
            definition = definition.only(tables[at])
        found[at] = definition.hash
        waiting += [(module.name, effect) for effect in module.effects]
        waiting += sources.leading_on(at, module, definition)
    return found


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, a class, a constant, or a statement that runs on import."""

    hash: str
    """Of its syntax tree, without comments, docstrings and the wording of errors."""
    uses: frozenset[str]
    """Names in it, dotted where attributes follow: `np.mean`, `trial.run`."""
    imports: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """What it imports within itself: name -> (module, name there; empty for the module itself)."""
    entries: Mapping[str, tuple[str, frozenset[str]]] = field(
        default_factory=dict[str, tuple[str, frozenset[str]]]
    )
    """Of a dictionary with strings as keys: key -> hash and uses of the value."""

    def only(self, keys: Collection[str]) -> "Definition":
        """The table with these entries only; one without keys leads nowhere."""
        kept = {key: self.entries[key] for key in sorted(keys) if key in self.entries}
        text = "\n".join(f"{key} {hashed}" for key, (hashed, _) in kept.items())
        uses = frozenset[str]().union(*(uses for _, uses in kept.values()))
        return Definition(hashlib.sha256(text.encode()).hexdigest(), uses)


@dataclass(frozen=True, slots=True)
class Module:
    """The definitions of one file."""

    name: str
    definitions: Mapping[str, Definition]
    imports: Mapping[str, tuple[str, str]]
    effects: tuple[str, ...]
    """Of `definitions`, statements that run on import and define nothing by themselves."""

    def definition(self, name: str) -> Definition:
        """Raises LookupError for a name that is not defined here."""
        if name not in self.definitions:
            raise LookupError(f"there is no {name!r} in {self.name}")
        return self.definitions[name]


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Packages as they lie on disk; every file is read once."""

    folders: Mapping[str, Path]
    """Package, such as `blended.data` -> its folder."""
    read: dict[str, Module | None] = field(default_factory=dict[str, Module | None])
    """Modules that were looked for, by name; None for those that are not there."""
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = field(
        default_factory=dict[tuple[str, str, str], list[tuple[str, str]]]
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

    def places(self, root: Root) -> list[tuple[str, str]]:
        """Where a root is defined; raises LookupError if it is nowhere.

        A class or function of somebody else's module, such as an encoder of their own, is read from there.
        """
        module, name = _split(_place(root))
        if not isinstance(root, str) and self._find(module) is None:
            file = Path(inspect.getfile(root))
            self.read[module] = analysed(module, file.read_bytes(), file.name == "__init__.py")
        if not (found := [*self._imported((module, name), [])]):
            self.module(module).definition(name)
        return found

    def leading_on(
        self, at: tuple[str, str], module: Module, definition: Definition
    ) -> list[tuple[str, str]]:
        """`resolved`, worked out once."""
        key = (*at, definition.hash)
        if key not in self.found:
            self.found[key] = [*self.resolved(module, definition)]
        return self.found[key]

    def resolved(self, module: Module, definition: Definition) -> Iterator[tuple[str, str]]:
        """Where the names in a definition are defined, as far as that is in one of the folders."""
        for dotted in definition.uses:
            first, *rest = dotted.split(".")
            imported = definition.imports.get(first) or module.imports.get(first)
            if imported is not None:
                yield from self._imported(imported, rest)
            elif first in module.definitions:
                yield module.name, first

    def _imported(self, imported: tuple[str, str], rest: list[str]) -> Iterator[tuple[str, str]]:
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
            is_package = path is not None and path.name == "__init__.py"
            self.read[name] = None if path is None else analysed(name, self._source(path), is_package)
        return self.read[name]

    def _source(self, path: Path) -> bytes:
        return self.texts[path] if path in self.texts else path.read_bytes()

    def _file_of(self, name: str) -> Path | None:
        package = ".".join(name.split(".")[:2])
        if package not in self.folders:
            return None
        path = self.folders[package].joinpath(*name.split(".")[2:])
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


def _place(root: Root) -> str:
    return root if isinstance(root, str) else f"{root.__module__}:{root.__qualname__.split('.')[0]}"


def _split(place: str) -> tuple[str, str]:
    module, _, name = place.partition(":")
    return module, name


def analysed(name: str, source: bytes, is_package: bool = False) -> Module:
    """The definitions of a module from its source."""
    definitions: dict[str, Definition] = {}
    imports: dict[str, tuple[str, str]] = {}
    effects: list[str] = []
    for number, statement in enumerate(_without_docstrings(ast.parse(source).body)):
        imports |= _imports_in(statement, name, is_package) if not _defines(statement) else {}
        if isinstance(statement, ast.Import | ast.ImportFrom) or _only_imports(statement):
            continue
        definition = _definition(statement, name, is_package)
        if not (names := _names_of(statement)):
            effects.append(f"<{number}>")
        for one in names or (f"<{number}>",):
            definitions[one] = definition
    return Module(name, definitions, imports, tuple(effects))


def _defines(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _only_imports(statement: ast.stmt) -> bool:
    """`if TYPE_CHECKING:` and the like."""
    return isinstance(statement, ast.If) and all(
        isinstance(one, ast.Import | ast.ImportFrom) for one in (*statement.body, *statement.orelse)
    )


def _names_of(statement: ast.stmt) -> tuple[str, ...]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (statement.name,)
    if isinstance(statement, ast.Assign):
        targets = [one for target in statement.targets for one in ast.walk(target)]
        return tuple(one.id for one in targets if isinstance(one, ast.Name))
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return (statement.target.id,)
    return ()


def _definition(statement: ast.stmt, module: str, is_package: bool) -> Definition:
    uses: set[str] = set()
    hashed = _hashed(statement, uses)
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    entries: dict[str, tuple[str, frozenset[str]]] = {}
    if isinstance(value, ast.Dict):
        for key, entry in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                own: set[str] = set()
                entries[key.value] = (_hashed(entry, own), frozenset(own))
    within = _imports_in(statement, module, is_package) if _defines(statement) else {}
    return Definition(hashed, frozenset(uses), within, entries)


def _imports_in(node: ast.AST, module: str, is_package: bool) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.ImportFrom):
            base = _absolute(one, module, is_package)
            found |= {alias.asname or alias.name: (base, alias.name) for alias in one.names}
        elif isinstance(one, ast.Import):
            for alias in one.names:
                top = alias.name if alias.asname else alias.name.split(".")[0]
                found[alias.asname or top] = (top, "")
    return found


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _hashed(node: ast.AST, uses: set[str]) -> str:
    parts: list[str] = []
    _write(node, parts, uses)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _write(node: Any, parts: list[str], uses: set[str]) -> None:
    """The tree as text that means the same in every version of Python; `uses` grows by the names in it."""
    if isinstance(node, ast.AST):
        if isinstance(node, ast.Name):
            uses.add(node.id)
        elif isinstance(node, ast.Attribute) and (dotted := _dotted(node)):
            uses.add(dotted)
            parts.append(dotted)
            return
        parts.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if name in ("ctx", "kind", "type_comment") or value is None or value == []:
                continue
            if isinstance(node, ast.Raise):
                value = _kind_of_error(value)
            parts.append(f"{name}=")
            _write(value, parts, uses)
        parts.append(")")
    elif isinstance(node, list):
        for one in _without_docstrings(node):
            _write(one, parts, uses)
            parts.append(",")
    else:
        parts.append(repr(node))


def _dotted(node: ast.expr) -> str:
    """`a.b.c`; empty where it does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def _kind_of_error(value: Any) -> Any:
    """An error without its words, which no number depends on."""
    return value.func if isinstance(value, ast.Call) else value


def _without_docstrings(statements: list[Any]) -> list[Any]:
    """Without strings that stand alone: the words under functions, classes and fields."""
    return [
        one
        for one in statements
        if not (
            isinstance(one, ast.Expr)
            and isinstance(one.value, ast.Constant)
            and isinstance(one.value.value, str)
        )
    ]
