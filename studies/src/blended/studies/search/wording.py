"""Settings of a study as people read them in a line or in the head of a column."""

import json
from collections.abc import Mapping, Sequence

from blended.data.digits import plain, significant


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
