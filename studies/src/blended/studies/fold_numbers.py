"""What studies keep of a fold: every measure of the task by a short name, the headline always as `score`."""

from collections.abc import Mapping, Sequence

from blended.data.labels import Task
from blended.eval.tasks import TASKS

Numbers = dict[str, float]
"""Every measure of a task, by the names of `numbers_of`."""
HEADLINE = "score"
"""What studies call the headline of any task."""
BEFORE = ("presence", "salience", "score")
"""What Optuna's storage has in lists of before 2026-11-28, with nothing for what a task does not have."""


def numbers_of(task: Task, values: Sequence[float]) -> Numbers:
    """The measures of a task by the names that studies keep them under, from values in their order.

    >>> numbers_of("mixture", [0.5, 0.25, 0.375])
    {'presence': 0.5, 'salience': 0.25, 'score': 0.375}
    >>> numbers_of("single", [0.5, 0.75])
    {'score': 0.5, 'weighted_recall': 0.75}
    """
    given = TASKS[task]
    names = [HEADLINE if one == given.headline else one.short for one in given.measures]
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def stored_numbers(kept: Mapping[str, float | int | None] | Sequence[float | int | None]) -> Numbers:
    """Of one fold, as it was stored, be it now or before; what is missing is absent.

    >>> stored_numbers([None, None, 0.5]), stored_numbers({"presence": 0.25, "salience": None, "score": 0.5})
    ({'score': 0.5}, {'presence': 0.25, 'score': 0.5})
    """
    named = kept if isinstance(kept, Mapping) else dict(zip(BEFORE, kept, strict=True))
    return {name: float(value) for name, value in named.items() if value is not None}


def mean_numbers(rows: Sequence[Numbers]) -> Numbers:
    """The mean of each that all have.

    >>> mean_numbers([{"presence": 0.5, "score": 0.25}, {"score": 0.75}])
    {'score': 0.5}
    """
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}
