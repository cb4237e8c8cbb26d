"""What a file of Python defines, from its source alone, and which names each definition uses.

Comments, docstrings, formatting and the wording of errors do not count. `code_versions` follows the names.
"""

import ast
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import resolve_name
from typing import Any

Place = tuple[str, str]
"""Module, and the name of a definition in it; empty for the module itself."""

_DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_IMPORTS = ast.Import | ast.ImportFrom


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, a class, a constant, or a statement that runs on import."""

    hash: str
    """Of its syntax tree, without comments, docstrings and the wording of errors."""
    uses: frozenset[str]
    """Names in it, dotted where attributes follow: `np.mean`, `trial.run`."""
    imports: Mapping[str, Place]
    """What it imports within itself: name -> its place."""
    entries: Mapping[str, tuple[str, frozenset[str]]]
    """Of a dictionary with strings as keys: key -> hash and uses of the value."""

    def only(self, keys: Collection[str]) -> "Definition":
        """The table with these entries only; one without keys leads nowhere."""
        kept = {key: self.entries[key] for key in sorted(keys) if key in self.entries}
        text = "\n".join(f"{key} {hashed}" for key, (hashed, _) in kept.items())
        uses = frozenset[str]().union(*(uses for _, uses in kept.values()))
        return Definition(hashlib.sha256(text.encode()).hexdigest(), uses, {}, {})


@dataclass(frozen=True, slots=True)
class Module:
    """The definitions of one file."""

    name: str
    definitions: Mapping[str, Definition]
    imports: Mapping[str, Place]
    effects: tuple[str, ...]
    """Of `definitions`, statements that run on import and define nothing by themselves."""

    def definition(self, name: str) -> Definition:
        """Raises LookupError for a name that is not defined here."""
        if name not in self.definitions:
            raise LookupError(f"there is no {name!r} in {self.name}")
        return self.definitions[name]


def analysed(name: str, source: bytes, is_package: bool = False) -> Module:
    """The definitions of a module from its source."""
    package = name if is_package else name.rpartition(".")[0]
    definitions: dict[str, Definition] = {}
    imports: dict[str, Place] = {}
    effects: list[str] = []
    for number, statement in enumerate(_without_docstrings(ast.parse(source).body)):
        within = _imports_in(statement, package)
        imports |= {} if isinstance(statement, _DEFINES) else within
        if _only_imports(statement):
            continue
        definition = _definition(statement, within if isinstance(statement, _DEFINES) else {})
        if not (names := _names_of(statement)):
            names = (f"<{number}>",)
            effects += names
        definitions |= dict.fromkeys(names, definition)
    return Module(name, definitions, imports, tuple(effects))


def _only_imports(statement: ast.stmt) -> bool:
    """Also `if TYPE_CHECKING:` and the like."""
    inner = (*statement.body, *statement.orelse) if isinstance(statement, ast.If) else (statement,)
    return all(isinstance(one, _IMPORTS) for one in inner)


def _names_of(statement: ast.stmt) -> tuple[str, ...]:
    if isinstance(statement, _DEFINES):
        return (statement.name,)
    if isinstance(statement, ast.Assign):
        targets = [one for target in statement.targets for one in ast.walk(target)]
        return tuple(one.id for one in targets if isinstance(one, ast.Name))
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return (statement.target.id,)
    return ()


def _definition(statement: ast.stmt, imports: Mapping[str, Place]) -> Definition:
    entries: dict[str, tuple[str, frozenset[str]]] = {}
    if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(value := statement.value, ast.Dict):
        for key, entry in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                entries[key.value] = _hashed(entry)
    return Definition(*_hashed(statement), imports, entries)


def _imports_in(node: ast.AST, package: str) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.ImportFrom):
            base = resolve_name("." * one.level + (one.module or ""), package)
            found |= {alias.asname or alias.name: (base, alias.name) for alias in one.names}
        elif isinstance(one, ast.Import):
            for alias in one.names:
                top = alias.name if alias.asname else alias.name.split(".")[0]
                found[alias.asname or top] = (top, "")
    return found


def _hashed(node: ast.AST) -> tuple[str, frozenset[str]]:
    """Of a tree, and the names in it."""
    parts: list[str] = []
    uses: set[str] = set()
    _write(node, parts, uses)
    return hashlib.sha256("".join(parts).encode()).hexdigest(), frozenset(uses)


def _write(node: Any, parts: list[str], uses: set[str]) -> None:
    """The tree as text that means the same in every version of Python; `uses` grows by the names in it."""
    if isinstance(node, list):
        for one in _without_docstrings(node):
            _write(one, parts, uses)
            parts.append(",")
    elif not isinstance(node, ast.AST):
        parts.append(repr(node))
    elif isinstance(node, ast.Attribute) and (dotted := _dotted(node)):
        uses.add(dotted)
        parts.append(dotted)
    else:
        if isinstance(node, ast.Name):
            uses.add(node.id)
        parts.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if name in ("ctx", "kind", "type_comment") or value is None or value == []:
                continue
            if isinstance(node, ast.Raise) and isinstance(value, ast.Call):
                value = value.func  # No number depends on the words of an error.
            parts.append(f"{name}=")
            _write(value, parts, uses)
        parts.append(")")


def _dotted(node: ast.expr) -> str:
    """`a.b.c`; empty where it does not begin with a name."""
    if isinstance(node, ast.Attribute):
        return f"{first}.{node.attr}" if (first := _dotted(node.value)) else ""
    return node.id if isinstance(node, ast.Name) else ""


def _without_docstrings(statements: list[Any]) -> list[Any]:
    """Without strings that stand alone: the words under functions, classes and fields."""
    return [one for one in statements if not _is_text(one)]


def _is_text(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and type(node.value.value) is str
    )
