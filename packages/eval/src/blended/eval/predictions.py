"""Scores in files: what a run predicts, as Parquet; and anybody's outputs per clip, in a table of any kind.

A table has `filename`, `fold` and one column per emotion. Predictions of a run are such a table too, with
probabilities, the decision and the truth per clip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from blended.data import Clip, InputError, LabelSpace, Mixture, Scores
from blended.data.atomic import replacing
from blended.data.checksums import BLANK_SEAL, SEAL_KEY, DamagedError, check_seal_if_any, seal
from blended.data.errors import some, unknown_name
from blended.data.scores import AS_LOGITS, Kind, looks_like
from blended.data.text_table import PARQUET, TextTable, read_text_table
from blended.eval.evidence import Evidence, gather

TYPES = {"fold": pl.Int64(), "truth": pl.String()}
"""Of columns that may hold nothing but nulls."""
KEYS = ("filename", "fold")
BESIDE = ("actor", "video_id", "label", "truth", "decided")
"""Columns that may stand beside scores and are none; so do those that begin with `truth_` or `state_`."""
Table = str | Path | pl.DataFrame | Mapping[str, Sequence[object]]
"""A file, a data frame, or columns by name."""


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
        probabilities=_matrix(table, [f"p_{emotion}" for emotion in space.emotions]),
    )
    if space.task == "intensities":
        return replace(plain, true_intensities=_matrix(table, labels))
    names = _state_columns(space)
    return replace(
        plain,
        decided=tuple(Mixture.from_json(text) for text in table["decided"]),
        truth=tuple(Mixture.from_json(text) if text else None for text in table["truth"]),
        states=_matrix(table, names) if names and set(names) <= set(table.columns) else None,
    )


def _matrix(table: pl.DataFrame, columns: Sequence[str]) -> Float[ndarray, "clip column"]:
    return np.ascontiguousarray(table.select(columns).to_numpy(), dtype=np.float64)


def _state_columns(space: LabelSpace) -> list[str]:
    return [f"state_{state.name}" for state in space.states]


def _truth_columns(space: LabelSpace) -> list[str]:
    return [f"truth_{emotion}" for emotion in space.emotions]


def read_table(given: Table, what: str = "a CSV with filename, fold and one column per emotion") -> TextTable:
    """A table of any kind, every cell as text; raises InputError as `read_text_table` does."""
    if isinstance(given, str | Path):
        path = Path(given)
        if path.suffix.lower() in PARQUET and path.is_file():
            check_seal_if_any(path)
        return read_text_table(path, (), what)
    frame = pl.DataFrame(given, strict=False)
    text = frame.with_columns(pl.all().cast(pl.String, strict=False).fill_null(""))
    cells = {name: text[name].to_list() for name in text.columns}
    return TextTable(Path("the table"), tuple(text.columns), tuple(range(1, text.height + 1)), cells)


def is_predictions(table: TextTable) -> bool:
    """Whether it is what a run leaves behind: probabilities, or intensities, in columns p_<emotion>."""
    return any(column.startswith("p_") for column in table.columns)


def scored_emotions(table: TextTable) -> tuple[str, ...]:
    """The emotions that have a column, in the order of the table."""
    if is_predictions(table):
        return tuple(column[2:] for column in table.columns if column.startswith("p_"))
    return tuple(column for column in table.columns if column not in KEYS and not _is_beside(column))


def _is_beside(column: str) -> bool:
    return column in BESIDE or column.startswith(("truth_", "state_"))


def read_scores(given: Table | TextTable, clips: Sequence[Clip], space: LabelSpace, kind: Kind) -> Scores:
    """The scores of `clips`, in their order; columns are matched by name.

    Of predictions of a run the kind is known: probabilities, or intensities, which are read as they are.
    Raises InputError naming the file for missing, unknown or non-numeric columns, repeated, missing or
    extra clips, folds that disagree with the clips', NaN, and rows that are no distribution.
    """
    table = given if isinstance(given, TextTable) else read_table(given)
    prefix = "p_" if is_predictions(table) else ""
    if space.task == "intensities":
        kind = "logits"
    elif prefix:
        kind = "probabilities"
    _check_columns(table, space, prefix)
    names, path = table.cells["filename"], table.path
    if "" in names:
        raise InputError(f"{path}, line {table.lines[names.index('')]}: filename is empty")
    if len({*names}) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: clip {repeated!r} has more than one row; keep one row per clip")
    _check_clips(path, names, [clip.id for clip in clips])
    row_of = {name: row for row, name in enumerate(names)}
    order = [row_of[clip.id] for clip in clips]
    _check_folds(path, _numbers(table, "fold")[order], clips)
    values = np.stack([_numbers(table, f"{prefix}{emotion}") for emotion in space.emotions], axis=1)
    try:
        return Scores(tuple(clip.id for clip in clips), space.emotions, values[order], kind)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_states(
    table: TextTable, clips: Sequence[Clip], space: LabelSpace
) -> Float[ndarray, "clip state"] | None:
    """The probabilities of label states in the predictions of a run, clips in the given order; None where
    the model has none."""
    columns = [f"state_{state.name}" for state in space.states]
    if not columns or not {*columns} <= {*table.columns}:
        return None
    row_of = {name: row for row, name in enumerate(table.cells["filename"])}
    order = [row_of[clip.id] for clip in clips]
    return np.stack([_numbers(table, column) for column in columns], axis=1)[order]


def remark(path: Path, scores: Scores) -> str | None:
    """A sentence on logits that look like something else; None for what looks like what it is said to be."""
    said = AS_LOGITS.get(looks_like(scores.values)) if scores.kind == "logits" else None
    return None if said is None else f"the scores of {path} {said}"


def _check_columns(table: TextTable, space: LabelSpace, prefix: str) -> None:
    expected = (*KEYS, *(f"{prefix}{emotion}" for emotion in space.emotions))
    for column in table.columns:
        if column not in expected and not _is_beside(column):
            raise InputError(f"{table.path}: {unknown_name('column', column, expected)}")
    if missing := [column for column in expected if column not in table.columns]:
        raise InputError(
            f"{table.path} lacks the column(s) {', '.join(missing)}; expected filename, fold and one per "
            f"emotion: {', '.join(space.emotions)}"
        )


def _numbers(table: TextTable, column: str) -> Float[ndarray, "row"]:
    """The column as numbers; a fold is whole, however it is written (other programs write 0.0)."""
    found = np.empty(len(table.lines))
    for row, cell in enumerate(table.cells[column]):
        try:
            found[row] = float(cell)
            whole = column != "fold" or found[row] % 1 == 0
        except ValueError:
            whole = False
        if not whole:
            raise InputError(
                f"{table.path}, line {table.lines[row]}: column {column!r} of clip "
                f"{table.cells['filename'][row]!r} {f'holds {cell!r}' if cell else 'is empty'}, expected a "
                f"{'whole ' if column == 'fold' else ''}number"
            )
    return found


def _check_clips(path: Path, found: list[str], expected: list[str]) -> None:
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if missing:
        raise InputError(
            f"{path} has no scores for {len(missing)} of {len(expected)} clips of the metadata: "
            f"{some(missing)}"
        )
    if extra:
        raise InputError(
            f"{path} has scores for {len(extra)} clips that the metadata does not have: {some(extra)}"
        )


def _check_folds(path: Path, folds: Float[ndarray, "clip"], clips: Sequence[Clip]) -> None:
    for clip, fold in zip(clips, folds.tolist(), strict=True):
        if clip.fold != fold:
            raise InputError(
                f"{path} puts clip {clip.id!r} in fold {fold:g}, the metadata in fold {clip.fold}; a model "
                f"must be scored on the fold that it did not train on"
            )
