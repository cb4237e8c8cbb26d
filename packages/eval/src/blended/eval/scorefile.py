"""Anybody's per-clip outputs: `filename`, `fold` and one column per emotion; or the predictions of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from blended.data import Clip, InputError, LabelSpace, Scores
from blended.data.checksums import check_seal_if_any
from blended.data.errors import some, unknown_name
from blended.data.scores import AS_LOGITS, Kind, looks_like
from blended.data.text_table import PARQUET, TextTable, read_text_table

KEYS = ("filename", "fold")
BESIDE = ("actor", "video_id", "label", "truth", "decided")
"""Columns that may stand beside scores and are none; so do those that begin with `truth_` or `state_`."""

Table = str | Path | pl.DataFrame | Mapping[str, Sequence[object]]
"""A file, a data frame, or columns by name."""


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
