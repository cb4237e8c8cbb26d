"""What evaluating one configuration once gives: numbers, and predictions to compare with.

`inner` is what a study may choose by; `outer` is what it reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, JsonValue

from blended.data import LabelSpace
from blended.eval.predictions import Predictions

Curve = dict[int, float]
"""Epoch, from 1 -> value after it; epochs without a value are left out."""


NUMBERS = ("presence", "salience", "score")
"""In the order in which Optuna's storage keeps them."""


def mean_of(values: Sequence[float | int | None]) -> float | None:
    """None where one is missing.

    >>> mean_of([0.25, 0.75]), mean_of([None, 0.5])
    (0.5, None)
    """
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if len(there) == len(values) else None


class FoldNumbers(BaseModel):
    """Of one fold, each in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    presence: float | None = None
    """None for tasks without blends, as is `salience`."""
    salience: float | None = None
    score: float
    """The headline of the task, such as the challenge score."""


class Outcome(BaseModel):
    """One configuration on one seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    """SHA-256 over the configuration and the data: equal identities give equal numbers."""
    config: dict[str, JsonValue]
    """The TrialConfig."""
    label_space: dict[str, JsonValue]
    inner: dict[int, FoldNumbers]
    """Reported fold -> numbers on its inner fold, made without any label of the reported fold."""
    outer: dict[int, FoldNumbers]
    """Reported fold -> numbers on it."""
    units: dict[str, float] = {}
    """`fold/actor` -> score of the clips of one actor of one inner fold; for the Wilcoxon pruner."""
    metrics: dict[str, float] = {}
    """Everything worth tracking, by the names that it has in MLflow."""
    tags: dict[str, str] = {}
    curve: Curve = {}
    """Mean inner score of the models that were still trained."""
    fold_curves: dict[int, Curve] = {}
    """Reported fold -> score on its inner fold, while its models were trained."""
    seconds: float = 0.0

    @property
    def mean_inner(self) -> FoldNumbers:
        """What a search maximises: the unweighted mean over folds."""
        rows = [one.model_dump() for one in self.inner.values()]
        return FoldNumbers.model_validate({name: mean_of([row[name] for row in rows]) for name in NUMBERS})


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """An outcome that is not stored yet."""

    outcome: Outcome
    predictions: Predictions
    """Of all training clips, each by a model that saw nobody of its fold."""
    space: LabelSpace
