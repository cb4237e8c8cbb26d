"""From the arguments of an official constructor to one of our configs.

A checkpoint says how its network was built in the words of the code that wrote it. Each network keeps a table
of those words: the official default of every argument and the field of our config that it becomes. What a
file leaves out takes the official default, an argument that is not in the table is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from blended.data.errors import InputError, unknown_name


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an official constructor."""

    default: object
    """What the official constructor assumes."""
    path: str | None = None
    """The field of our config, dotted; None where the argument does not change what the network computes."""
    refused: str = ""
    """Why nothing but the default is accepted; empty where other values are."""


ArgumentTable = Mapping[str, Argument]
Config = TypeVar("Config", bound=BaseModel)


def config_from_arguments(
    config_type: type[Config], table: ArgumentTable, given: Mapping[str, object], source: str
) -> Config:
    """The config of the network that the official constructor would build from `given`.

    `source` names where the arguments come from, for the message.

    Raises:
        InputError: for an unknown argument, a refused value (and says why), two arguments for one field, or
            values that do not make a network.
    """
    for name in given:
        if name not in table:
            raise InputError(f"{source}: {unknown_name('constructor argument', name, table)}")
        if table[name].refused and given[name] != table[name].default:
            raise InputError(
                f"{source}: constructor argument {name} = {given[name]!r} is not supported: "
                f"{table[name].refused}"
            )
    values = {row.path: row.default for row in table.values() if row.path is not None}
    values |= _given_values(table, given, source)
    try:
        return config_type.model_validate(_nested(values))
    except ValidationError as error:
        raise InputError(f"{source}: {_sentence(error, table)}") from error


def _given_values(table: ArgumentTable, given: Mapping[str, object], source: str) -> dict[str, object]:
    """Values by path; two names may stand for one field, but not in one file."""
    name_of: dict[str, str] = {}
    for name in given:
        path = table[name].path
        if path is None:
            continue
        if path in name_of:
            raise InputError(f"{source}: {name_of[path]} and {name} say the same; leave one of them out")
        name_of[path] = name
    return {path: given[name] for path, name in name_of.items()}


def _nested(values: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _sentence(error: ValidationError, table: ArgumentTable) -> str:
    """The first problem, under the official name where there is one."""
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    names = [name for name, row in table.items() if row.path and f"{location}.".startswith(f"{row.path}.")]
    reason = first["msg"].removeprefix("Value error, ")
    if not names:
        return f"the constructor arguments make no network: {reason}"
    return f"constructor argument {names[0]} = {first['input']!r}: {reason}"
