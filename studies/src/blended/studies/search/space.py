"""Walking a search space: conditions in order, all points of a grid."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from blended.data import InputError
from blended.data.errors import unknown_name
from blended.studies.search.dimension import Dimension, Label, Value, allowed, label

if TYPE_CHECKING:
    import optuna

Space = Mapping[str, Dimension]
Choices = dict[str, Value]
"""Dotted path -> value."""


def suggest(space: Space, trial: "optuna.Trial") -> Choices:
    """Asks Optuna for every setting that is there, in order."""
    chosen: Choices = {}
    for path, dimension in space.items():
        if dimension.is_active(chosen):
            chosen[path] = dimension.suggest(path, trial)
    return chosen


def from_params(space: Space, params: Mapping[str, Label]) -> Choices:
    """The values behind what Optuna stores."""
    chosen: Choices = {}
    for path, stored in params.items():
        choices = space[path].choice
        if choices is None:
            chosen[path] = stored
        else:
            chosen[path] = next(value for value in choices if label(value) == stored)
    return chosen


def to_params(chosen: Choices) -> dict[str, Label]:
    """What Optuna stores of values."""
    return {path: label(value) for path, value in chosen.items()}


def all_points(space: Space) -> list[Choices]:
    """Every combination, settings without a fulfilled condition left out.

    Raises InputError for a range that cannot be counted.
    """
    points: list[Choices] = [{}]
    for path, dimension in space.items():
        values = dimension.steps()
        if values is None:
            raise InputError(
                f"{path} is a range of floats or one in logarithms, which a grid cannot list: give choice: "
                f"[...] or another sampler"
            )
        points = [
            {**point, **extra}
            for point in points
            for extra in ([{path: value} for value in values] if dimension.is_active(point) else [{}])
        ]
    return points


def probes(space: Space) -> Iterator[tuple[str, Value, Choices]]:
    """Path, value and choices that show the value: each choice and each end of a range once."""
    first: Choices = {}
    for path, dimension in space.items():
        needed = _fulfilling(space, path)
        for value in dimension.probes():
            yield path, value, _active(space, {**first, **needed, path: value})
        if dimension.is_active(first):
            first[path] = dimension.probes()[0]


def _fulfilling(space: Space, path: str) -> Choices:
    """The first values under which a setting exists."""
    needed: Choices = {}
    for condition, value in space[path].when.items():
        needed |= _fulfilling(space, condition)
        needed[condition] = allowed(value)[0]
    return needed


def _active(space: Space, wanted: Choices) -> Choices:
    """What remains of choices when settings without a fulfilled condition are left out."""
    chosen: Choices = {}
    for path, dimension in space.items():
        if path in wanted and dimension.is_active(chosen):
            chosen[path] = wanted[path]
    return chosen


def check_conditions(space: Space) -> None:
    """Raises InputError for a condition on a setting that is not searched, comes later, or on a value it
    cannot take; its first word is the path that is wrong."""
    seen: dict[str, Dimension] = {}
    for path, dimension in space.items():
        for condition, value in dimension.when.items():
            if condition not in seen:
                where = "comes later" if condition in space else str(unknown_name("setting", condition, seen))
                raise InputError(f"{path}: its condition on {condition!r}: {where}")
            possible = seen[condition].choice
            for one in allowed(value):
                if possible is not None and one not in possible:
                    known = unknown_name("value", str(label(one)), [str(label(p)) for p in possible])
                    raise InputError(f"{path}: its condition on {condition!r}: {known}")
        seen[path] = dimension
