"""A search space: which values settings may take, when, all points of a grid, and settings in words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from blended.data import InputError
from blended.data.digits import plain, significant
from blended.data.errors import unknown_name

if TYPE_CHECKING:
    import optuna


def short_names(paths: Sequence[str]) -> list[str]:
    """The last part of a path that says something, where no other setting is called so.

    >>> short_names(["fusion.name", "fusion.training.learning_rate", "a.width", "b.width"])
    ['fusion', 'learning_rate', 'a.width', 'b.width']
    """
    last = [path.removesuffix(".name").split(".")[-1] for path in paths]
    return [name if last.count(name) == 1 else path for name, path in zip(last, paths, strict=True)]


def short_value(value: object) -> str:
    """A number that stands by itself; of a whole section, as it is stored, its name.

    >>> short_value(0.0011536723992621861), short_value("late"), short_value(64)
    ('0.00115367', 'late', '64')
    >>> short_value('{"name": "late", "features": ["logmel"]}')
    'late'
    """
    if isinstance(value, str) and value.startswith("{"):
        return str(json.loads(value).get("name", value))
    return plain(value) if isinstance(value, float) else str(value)


def short_values(values: Sequence[object]) -> list[str]:
    """The values that one setting has in several trials, each told from the others; empty where it has none.

    >>> short_values([0.0011536, 0.00028, "late", ""])
    ['0.00115', '0.00028', 'late', '']
    """
    digits = significant([value for value in values if isinstance(value, float)])
    return [plain(value, digits) if isinstance(value, float) else short_value(value) for value in values]


def in_words(params: Mapping[str, object]) -> str:
    """Of one trial.

    >>> in_words({"fusion.name": "late", "fusion.training.learning_rate": 0.00123456})
    'fusion late, learning_rate 0.00123456'
    """
    named = zip(short_names([*params]), params.values(), strict=True)
    return ", ".join(f"{name} {short_value(value)}" for name, value in named)


Value = Any
"""What a setting may be: whatever YAML and JSON have. Not JsonValue of pydantic, which refers to itself: the
type checks of the tests cannot always follow."""
Label = bool | int | float | str | None
"""What Optuna stores of a choice."""


class Dimension(BaseModel):
    """Exactly one of `choice`, `float` and `int`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    choice: tuple[JsonValue, ...] | None = Field(default=None, min_length=1)
    """Values without an order; lists such as features are fine."""
    float_range: tuple[float, float] | None = Field(default=None, alias="float")
    """Smallest and largest."""
    int_range: tuple[int, int] | None = Field(default=None, alias="int")
    """Smallest and largest, both possible."""
    log: bool = False
    """Whether a range is searched in logarithms."""
    when: dict[str, JsonValue] = Field(default={}, alias="if")
    """Other settings and the value, or the list of values, that they must have for this one to exist."""

    @model_validator(mode="after")
    def _check(self) -> "Dimension":
        given = [self.choice, self.float_range, self.int_range]
        if sum(one is not None for one in given) != 1:
            raise ValueError("expected exactly one of choice: [..], float: [low, high], int: [low, high]")
        if self.log and self.choice is not None:
            raise ValueError("log: true belongs to a float or an int range, not to a choice")
        if (bounds := self.float_range or self.int_range) is not None:
            low, high = bounds
            if low >= high:
                raise ValueError(f"the range starts at {low} but ends at {high}: give [smallest, largest]")
            if self.log and low <= 0:
                raise ValueError(f"log: true needs a range above 0, got {low}")
        if self.choice is not None and len({_key(label(value)) for value in self.choice}) < len(self.choice):
            raise ValueError("a value occurs twice")
        return self

    def is_active(self, chosen: Mapping[str, Value]) -> bool:
        """Whether all conditions hold for what was chosen before."""
        return all(path in chosen and chosen[path] in allowed(value) for path, value in self.when.items())

    def probes(self) -> tuple[Value, ...]:
        """All choices, or both ends of the range: what must be valid for the study to be."""
        if self.choice is not None:
            return self.choice
        return self.float_range or self.int_range or ()

    def steps(self) -> tuple[Value, ...] | None:
        """Every value, if they can be counted; None for a range of floats or one in logarithms."""
        if self.choice is not None:
            return self.choice
        if self.int_range is None or self.log:
            return None
        return tuple(range(self.int_range[0], self.int_range[1] + 1))

    def suggest(self, path: str, trial: "optuna.Trial") -> Value:
        """Asks Optuna for a value."""
        if self.choice is not None:
            by_label = {_key(label(value)): value for value in self.choice}
            return by_label[_key(trial.suggest_categorical(path, [label(value) for value in self.choice]))]
        if self.int_range is not None:
            return trial.suggest_int(path, *self.int_range, log=self.log)
        assert self.float_range is not None
        return trial.suggest_float(path, *self.float_range, log=self.log)


def label(value: Value) -> Label:
    """A value as Optuna and people read it.

    >>> label(["logmel", "motion"]), label(3), label({"a": 1})
    ('logmel+motion', 3, '{"a": 1}')
    """
    if isinstance(value, list):
        return "+".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else value


def allowed(value: Value) -> list[Value]:
    """The values that a condition accepts."""
    return value if isinstance(value, list) else [value]


def _key(value: Label) -> str:
    """True and 1 are different choices."""
    return json.dumps(value)


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
