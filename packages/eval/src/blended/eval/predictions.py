"""Predictions of one run as a Parquet file: probabilities, the decision and the truth per clip."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError, LabelSpace, Mixture, Scores
from blended.data.atomic import replacing
from blended.data.checksums import BLANK_SEAL, SEAL_KEY, DamagedError, check_seal_if_any, seal
from blended.eval.evidence import Evidence, gather

TYPES = {"fold": pl.Int64(), "truth": pl.String()}
"""Of columns that may hold nothing but nulls."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a run says about every clip of a partition."""

    clip_ids: tuple[str, ...]
    actors: tuple[str, ...]
    """Empty where nobody says who is seen."""
    folds: tuple[int | None, ...]
    """None in the test partition."""
    probabilities: Float[ndarray, "clip emotion"]
    """In the order of the label space; rows add up to 1, unless they are intensities in [0, 1]."""
    decided: tuple[Mixture, ...] = ()
    """Empty for intensities, which are taken as they are."""
    truth: tuple[Mixture | None, ...] = ()
    """None where withheld; empty for intensities."""
    true_intensities: Float[ndarray, "clip emotion"] | None = None
    """NaN where withheld; None for other tasks."""
    states: Float[ndarray, "clip state"] | None = None
    """Probabilities of the states of the space, for models that have them; rows add up to 1."""

    def evidence(self, space: LabelSpace) -> Evidence:
        """For deciding anew; clips without a fold get fold 0."""
        kind = "logits" if space.task == "intensities" else "probabilities"
        scores = Scores(self.clip_ids, space.emotions, self.probabilities, kind)
        return gather([scores], self.actors, [fold or 0 for fold in self.folds], space, self.states)

    def take(self, rows: Sequence[int]) -> "Predictions":
        """Those of some clips, by row number."""
        return Predictions(
            clip_ids=tuple(self.clip_ids[row] for row in rows),
            actors=tuple(self.actors[row] for row in rows),
            folds=tuple(self.folds[row] for row in rows),
            probabilities=self.probabilities[[*rows]],
            decided=tuple(self.decided[row] for row in rows) if self.decided else (),
            truth=tuple(self.truth[row] for row in rows) if self.truth else (),
            true_intensities=None if self.true_intensities is None else self.true_intensities[[*rows]],
            states=None if self.states is None else self.states[[*rows]],
        )


def write_predictions(path: Path, predictions: Predictions, space: LabelSpace) -> None:
    """Columns filename, actor, fold, p_<emotion>, decided and truth (a JSON object of shares, or null).

    Where a model scores label states, also state_<name of the state>, such as state_ang+hap:70/30.
    Intensities have p_<emotion>, between 0 and 1 each, and truth_<emotion> instead of decided and truth.
    """
    columns: dict[str, Sequence[object] | ndarray] = {
        "filename": predictions.clip_ids,
        "actor": predictions.actors,
        "fold": predictions.folds,
    }
    for number, emotion in enumerate(space.emotions):
        columns[f"p_{emotion}"] = predictions.probabilities[:, number]
    if predictions.states is not None:
        names = _state_columns(space)
        columns |= {name: predictions.states[:, number] for number, name in enumerate(names)}
    if predictions.true_intensities is not None:
        names = _truth_columns(space)
        columns |= {name: predictions.true_intensities[:, number] for number, name in enumerate(names)}
    else:
        columns["decided"] = [mixture.to_json() for mixture in predictions.decided]
        columns["truth"] = [mixture.to_json() if mixture else None for mixture in predictions.truth]
    types = {name: kind for name, kind in TYPES.items() if name in columns}
    with replacing(path) as temporary:
        table = pl.DataFrame(columns, schema_overrides=types)
        table.write_parquet(temporary, metadata={SEAL_KEY: BLANK_SEAL})
        seal(temporary)


def read_predictions(path: Path, space: LabelSpace) -> Predictions:
    """Reads what `write_predictions` wrote; raises InputError for a missing file or column, and for a file
    that is damaged. Files of before checksums have no seal."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: train the run again")
    check_seal_if_any(path)
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise DamagedError(f"{path} is damaged ({error}): train the run again") from error
    labels = _truth_columns(space) if space.task == "intensities" else ["decided", "truth"]
    expected = ["filename", "actor", "fold", *(f"p_{e}" for e in space.emotions), *labels]
    if missing := [column for column in expected if column not in table.columns]:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; it was written for other labels")
    plain = Predictions(
        clip_ids=tuple(table["filename"]),
        actors=tuple(table["actor"]),
        folds=tuple(table["fold"]),
        probabilities=_numbers(table, [f"p_{emotion}" for emotion in space.emotions]),
    )
    if space.task == "intensities":
        return replace(plain, true_intensities=_numbers(table, labels))
    names = _state_columns(space)
    return replace(
        plain,
        decided=tuple(Mixture.from_json(text) for text in table["decided"]),
        truth=tuple(Mixture.from_json(text) if text else None for text in table["truth"]),
        states=_numbers(table, names) if names and set(names) <= set(table.columns) else None,
    )


def _numbers(table: pl.DataFrame, columns: Sequence[str]) -> Float[ndarray, "clip column"]:
    return np.ascontiguousarray(table.select(columns).to_numpy(), dtype=np.float64)


def _state_columns(space: LabelSpace) -> list[str]:
    return [f"state_{state.name}" for state in space.states]


def _truth_columns(space: LabelSpace) -> list[str]:
    return [f"truth_{emotion}" for emotion in space.emotions]
