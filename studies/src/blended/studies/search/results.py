"""What evaluating a configuration once gives, the store where results lie, and the numbers that they tell.

`inner` is what a study may choose by; `outer` is what it reports. What was evaluated once is not evaluated
again. Nothing is fitted here: decisions are taken as they were stored.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, field_validator

from blended.data import InputError, LabelSpace
from blended.data.checksums import DamagedError, check_seal_if_any, read_sealed_json, write_sealed_json
from blended.eval.comparison import Answers
from blended.eval.estimate import Basis, Estimate
from blended.eval.intervals import Spread
from blended.eval.measures import Labels, Measure, spread_of
from blended.eval.predictions import Predictions, read_predictions, write_predictions
from blended.eval.tasks import TASKS
from blended.studies.fold_numbers import HEADLINE, Numbers, mean_numbers, numbers_of, stored_numbers

Curve = dict[int, float]
"""Epoch, from 1 -> value after it; epochs without a value are left out."""


class Outcome(BaseModel):
    """One configuration on one seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    """SHA-256 over the configuration and the data: equal identities give equal numbers."""
    config: dict[str, JsonValue]
    """The TrialConfig."""
    label_space: dict[str, JsonValue]
    inner: dict[int, Numbers]
    """Reported fold -> numbers on its inner fold, made without any label of the reported fold."""
    outer: dict[int, Numbers]
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

    @field_validator("inner", "outer", mode="before")
    @classmethod
    def _of_folds(cls, given: Any) -> Any:
        """Reads what was written before 2026-11-28, where what a task does not have is null."""
        if not isinstance(given, Mapping):
            return given
        found = {fold: stored_numbers(row) for fold, row in given.items()}
        if not all(HEADLINE in row for row in found.values()):
            raise ValueError(f"a fold has no {HEADLINE}")
        return found

    @property
    def mean_inner(self) -> Numbers:
        """What a search maximises: the unweighted mean over folds."""
        return mean_numbers([*self.inner.values()])


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """An outcome that is not stored yet."""

    outcome: Outcome
    predictions: Predictions
    """Of all training clips, each by a model that saw nobody of its fold."""
    space: LabelSpace


OUTCOME = "outcome.json"
PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True, slots=True)
class TrialStore:
    """The outcomes of all studies on a corpus."""

    folder: Path

    def path(self, identity: str) -> Path:
        """Where an outcome lies or would lie."""
        return self.folder / identity

    def find(self, identity: str) -> Outcome | None:
        """A complete outcome; None if there is none, or if it was written by another version.

        Raises DamagedError for one whose files are not as they were written.
        """
        path, predictions = self.path(identity) / OUTCOME, self.path(identity) / PREDICTIONS
        if not path.is_file() or not predictions.is_file():
            return None
        try:
            check_seal_if_any(predictions)
            return Outcome.model_validate(read_sealed_json(path))
        except DamagedError as damage:
            raise DamagedError(f"{damage}: `blended study resume` of its study computes it anew") from damage
        except ValidationError:
            return None  # It is computed again and replaced.

    def put(self, evaluated: Evaluated) -> Outcome:
        """Writes predictions, then the outcome that makes them complete."""
        folder = self.path(evaluated.outcome.identity)
        # Removed first: old numbers must not stand beside new predictions, even for a moment.
        (folder / OUTCOME).unlink(missing_ok=True)
        write_predictions(folder / PREDICTIONS, evaluated.predictions, evaluated.space)
        write_sealed_json(folder / OUTCOME, evaluated.outcome.model_dump(mode="json"))
        return evaluated.outcome

    def get(self, identity: str) -> Outcome:
        """Raises InputError for an outcome that is not there, or damaged."""
        found = self.find(identity)
        if found is None:
            raise InputError(
                f"{self.path(identity)} has no complete result: run the study on this disk, or "
                f"`blended study run` it again to compute what is missing"
            )
        return found

    def predictions(self, outcome: Outcome) -> Predictions:
        """Of an outcome that is there."""
        space = LabelSpace.from_dict(outcome.label_space)
        return read_predictions(self.path(outcome.identity) / PREDICTIONS, space)


def together(identities: list[str]) -> str:
    """One key for the outcomes of a trial with several seeds.

    >>> together(["abc"])
    'abc'
    """
    if len(identities) == 1:
        return identities[0]
    return hashlib.sha256(" ".join(identities).encode()).hexdigest()


def measures(space: LabelSpace) -> tuple[Measure, ...]:
    """What a task is judged by."""
    return TASKS[space.task].measures


def estimates(predictions: Predictions, space: LabelSpace) -> dict[str, Estimate]:
    """Measure -> unweighted mean over folds with its 95 % interval over actors."""
    found = _spread(predictions, space).estimates
    return {one.key: estimate for one, estimate in zip(measures(space), found, strict=True)}


def basis(predictions: Predictions) -> Basis:
    """What those intervals are over."""
    return Basis(len(set(predictions.actors)), len(set(predictions.folds)))


def fold_numbers(predictions: Predictions, space: LabelSpace) -> dict[int, Numbers]:
    """Of every fold, every measure of the task."""
    folds = sorted({fold for fold in predictions.folds if fold is not None})
    found: dict[int, Numbers] = {}
    for fold in folds:
        rows = [row for row, one in enumerate(predictions.folds) if one == fold]
        found[fold] = numbers_of(space.task, _spread(predictions.take(rows), space).values.tolist())
    return found


def answers(name: str, predictions: Predictions, space: LabelSpace) -> Answers:
    """What `blended.eval.comparison` compares."""
    actors, folds = _where(predictions)
    truth, decided = _truth(predictions), _decided(predictions)
    return Answers(name, space.task, truth, decided, predictions.clip_ids, actors, folds)


def joined(parts: Sequence[tuple[int, Predictions]]) -> Predictions:
    """Fold k from the k-th predictions, for numbers of a configuration that was chosen fold by fold.

    Clips come in the order of the first; raises InputError where the others have other clips.
    """
    first = parts[0][1]
    by_fold = dict(parts)
    if any(one.clip_ids != first.clip_ids for one in by_fold.values()):
        raise InputError("trials of one study were evaluated on different clips: run them again")
    rows = [(row, by_fold[fold]) for row, fold in enumerate(first.folds) if fold is not None]
    true = first.true_intensities
    return Predictions(
        clip_ids=first.clip_ids,
        actors=first.actors,
        folds=first.folds,
        probabilities=np.stack([one.probabilities[row] for row, one in rows]),
        decided=tuple(one.decided[row] for row, one in rows) if first.decided else (),
        truth=first.truth,
        true_intensities=true,
    )


def _spread(predictions: Predictions, space: LabelSpace) -> Spread:
    truth, decided = _truth(predictions), _decided(predictions)
    return spread_of(measures(space), truth, decided, *_where(predictions))


def _where(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """A number per actor, and the folds."""
    actors = np.unique(np.array(predictions.actors), return_inverse=True)[1].astype(np.int64)
    return actors, np.array([fold or 0 for fold in predictions.folds], dtype=np.int64)


def _truth(predictions: Predictions) -> Labels:
    if predictions.true_intensities is not None:
        return predictions.true_intensities
    return [mixture for mixture in predictions.truth if mixture is not None]


def _decided(predictions: Predictions) -> Labels:
    return [*predictions.decided] if predictions.decided else predictions.probabilities
