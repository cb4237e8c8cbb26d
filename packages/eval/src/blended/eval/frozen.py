"""A fitted decision as plain data, so that it can be stored and read without running anybody's code.

Pickles run code when they are read, and refitting a learned decision takes seconds. Here a decision
becomes JSON: its own records, and arrays with their exact values in row-major order.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np

from blended.data import InputError, LabelSpace, Mixture
from blended.eval.calibration import Calibration, ScaleAndShift, Steps
from blended.eval.decisions.bayes import Bayes
from blended.eval.decisions.multinomial import Multinomial, of_estimators
from blended.eval.decisions.plain import Argmax, Constant, ModelStates, Templates
from blended.eval.decisions.set_ratio import SetRatio
from blended.eval.decisions.thresholds import Thresholds
from blended.eval.normalisation import Population, Populations
from blended.eval.protocol import FittedDecision

OURS = "blended.eval."


def freeze(value: object) -> Any:
    """JSON-ready data; `thaw` is the inverse. Raises TypeError for what is no data (a function, say)."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"cannot store an array of {value.dtype} in a decision")
        return {"array": value.ravel().tolist(), "dtype": str(value.dtype), "shape": [*value.shape]}
    if isinstance(value, Mixture):
        return {"mixture": dict(value.shares)}
    if isinstance(value, LabelSpace):
        return {"space": value.to_dict()}
    if isinstance(value, list | tuple):
        items = cast("list[object] | tuple[object, ...]", value)
        return {type(items).__name__: [freeze(item) for item in items]}
    if isinstance(value, Mapping):
        pairs = cast(Mapping[object, object], value)
        return {"mapping": [[freeze(key), freeze(item)] for key, item in pairs.items()]}
    return _freeze_object(value)


def _freeze_object(value: object) -> dict[str, Any]:
    kind = type(value)
    if is_dataclass(value) and kind.__module__.startswith(OURS):
        return {
            "record": kind.__name__,
            "fields": {one.name: freeze(getattr(value, one.name)) for one in fields(value)},
        }
    raise TypeError(
        f"cannot store a {kind.__module__}:{kind.__qualname__} in a decision: give it records, arrays, "
        f"numbers and text"
    )


def thaw(data: Any) -> Any:
    """What was frozen. Raises InputError for data that `freeze` does not write."""
    if data is None or isinstance(data, bool | int | float | str):
        return data
    if isinstance(data, Mapping) and data:
        fields_of = cast(Mapping[str, Any], data)
        reader = READERS.get(next(iter(fields_of)))
        if reader is not None:
            return reader(fields_of)
    raise InputError(
        f"a stored decision holds {str(data)[:80]!r}, which this version cannot read: train again"
    )


def _thaw_array(data: Mapping[str, Any]) -> np.ndarray:
    return np.array(data["array"], dtype=data["dtype"]).reshape(data["shape"])


def _thaw_record(data: Mapping[str, Any]) -> Any:
    kind = _record_of(data["record"])
    names = RENAMED_FIELDS.get(kind.__name__, {})
    values: dict[str, Any] = {
        names.get(str(name), str(name)): thaw(item) for name, item in data["fields"].items()
    }
    make: Any = of_estimators if kind is Multinomial and "model" in values else kind
    try:
        return make(**values)
    except (TypeError, KeyError) as error:
        raise InputError(f"a stored decision is of another version ({error}): train again") from error


def _record_of(name: str) -> type[Any]:
    """By its name; until 2026-11-28 decisions named the module too, which changes nothing."""
    module, _, own = name.rpartition(":")
    kind = RECORDS.get(RENAMED.get(own, own))
    if kind is None or not f"{module or OURS}.".startswith(OURS):
        raise InputError(
            f"a stored decision names {name!r}, expected one of {', '.join(RECORDS)}: it is damaged or of "
            f"another version, so train again"
        )
    return kind


RECORDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(FittedDecision, Calibration, ScaleAndShift, Steps, Population, Populations, Multinomial),
        *(Argmax, Bayes, Constant, ModelStates, SetRatio, Templates, Thresholds),
    )
}
"""What a stored decision may hold; nothing else is ever looked up."""
RENAMED = {"Adjust": "Calibration"}
"""Name until 2026-11-28 -> name."""
RENAMED_FIELDS: dict[str, dict[str, str]] = {"FittedDecision": {"adjust": "calibration"}}
"""Likewise of fields."""

READERS: dict[str, Any] = {
    "array": _thaw_array,
    "mixture": lambda data: Mixture(data["mixture"]),
    "space": lambda data: LabelSpace.from_dict(data["space"]),
    "list": lambda data: [thaw(item) for item in data["list"]],
    "tuple": lambda data: tuple(thaw(item) for item in data["tuple"]),
    "mapping": lambda data: {thaw(key): thaw(item) for key, item in data["mapping"]},
    "record": _thaw_record,
    # Of a library, in decisions from before 2026-11-27: read as data, whatever it is called.
    "estimator": lambda data: {name: thaw(item) for name, item in data["fields"].items()},
}
