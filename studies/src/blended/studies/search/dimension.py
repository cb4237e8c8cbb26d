"""One line of a search space: which values a setting may take, and when it is there at all."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

if TYPE_CHECKING:
    import optuna

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
