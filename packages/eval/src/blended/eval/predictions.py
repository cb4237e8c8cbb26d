"""Predictions of one run as a Parquet file: probabilities, the decision and the truth per clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError, LabelSpace, Mixture, Scores
from blended.data.atomic import replacing
from blended.eval.evidence import Evidence, gather


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a run says about every clip of a partition."""

    clip_ids: tuple[str, ...]
    actors: tuple[str, ...]
    """Empty where nobody says who is seen."""
    folds: tuple[int | None, ...]
    """None in the test partition."""
    probabilities: Float[ndarray, "clip emotion"]
    """In the order of the label space; rows add up to 1."""
    decided: tuple[Mixture, ...]
    truth: tuple[Mixture | None, ...]
    """None where withheld."""

    def evidence(self, space: LabelSpace) -> Evidence:
        """For deciding anew; clips without a fold get fold 0."""
        scores = Scores(self.clip_ids, space.emotions, self.probabilities, "probabilities")
        return gather([scores], self.actors, [fold or 0 for fold in self.folds], space)


def write_predictions(path: Path, predictions: Predictions, space: LabelSpace) -> None:
    """Columns filename, actor, fold, p_<emotion>, decided and truth (a JSON object of shares, or null)."""
    columns: dict[str, Sequence[object] | ndarray] = {
        "filename": predictions.clip_ids,
        "actor": predictions.actors,
        "fold": predictions.folds,
    }
    for number, emotion in enumerate(space.emotions):
        columns[f"p_{emotion}"] = predictions.probabilities[:, number]
    columns["decided"] = [mixture.to_json() for mixture in predictions.decided]
    columns["truth"] = [mixture.to_json() if mixture else None for mixture in predictions.truth]
    types = {"fold": pl.Int64(), "truth": pl.String()}
    with replacing(path) as temporary:
        pl.DataFrame(columns, schema_overrides=types).write_parquet(temporary)


def read_predictions(path: Path, space: LabelSpace) -> Predictions:
    """Reads what `write_predictions` wrote; raises InputError for a missing file or column."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: train the run again")
    table = pl.read_parquet(path)
    expected = ["filename", "actor", "fold", *(f"p_{e}" for e in space.emotions), "decided", "truth"]
    if missing := [column for column in expected if column not in table.columns]:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; it was written for other labels")
    return Predictions(
        clip_ids=tuple(table["filename"]),
        actors=tuple(table["actor"]),
        folds=tuple(table["fold"]),
        probabilities=table.select(f"p_{emotion}" for emotion in space.emotions)
        .to_numpy()
        .astype(np.float64),
        decided=tuple(Mixture.from_json(text) for text in table["decided"]),
        truth=tuple(Mixture.from_json(text) if text else None for text in table["truth"]),
    )
