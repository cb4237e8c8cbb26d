"""Reading anybody's per-clip outputs: a CSV with `filename`, `fold` and one column per emotion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from blended.data import Clip, InputError, LabelSpace, Scores
from blended.data.errors import some, unknown_name
from blended.data.scores import AS_LOGITS, looks_like

KEYS = ("filename", "fold")


def read_scores(
    path: Path, clips: Sequence[Clip], space: LabelSpace, kind: Literal["logits", "probabilities"]
) -> Scores:
    """The scores of `clips`, in their order; columns are matched by name.

    Raises InputError naming the file for missing, unknown or non-numeric columns, repeated, missing or
    extra clips, folds that disagree with the clips', NaN, and rows that are no distribution.
    """
    table = _read_table(path, space)
    if repeated := table["filename"].filter(table["filename"].is_duplicated()).to_list():
        raise InputError(f"{path}: clip {repeated[0]!r} has more than one row; keep one row per clip")
    _check_clips(path, table["filename"].to_list(), [clip.id for clip in clips])
    order = pl.DataFrame({"filename": [clip.id for clip in clips]})
    table = order.join(table, on="filename", how="left", maintain_order="left")
    _check_folds(path, table, clips)
    values = table.select(space.emotions).to_numpy().astype(np.float64)
    try:
        return Scores(tuple(clip.id for clip in clips), space.emotions, values, kind)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def remark(path: Path, scores: Scores) -> str | None:
    """A sentence on logits that look like something else; None for what looks like what it is said to be."""
    said = AS_LOGITS.get(looks_like(scores.values)) if scores.kind == "logits" else None
    return None if said is None else f"the scores of {path} {said}"


def _read_table(path: Path, space: LabelSpace) -> pl.DataFrame:
    if not path.is_file():
        raise InputError(
            f"{path} does not exist: expected a CSV with filename, fold and one column per emotion"
        )
    try:
        table = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} cannot be read as UTF-8 CSV: {error}") from error
    expected = (*KEYS, *space.emotions)
    for column in table.columns:
        if column not in expected:
            raise InputError(f"{path}: {unknown_name('column', column, expected)}")
    if missing := [column for column in expected if column not in table.columns]:
        raise InputError(
            f"{path} lacks the column(s) {', '.join(missing)}; expected filename, fold and one per emotion: "
            f"{', '.join(space.emotions)}"
        )
    if table["filename"].null_count():
        row = table["filename"].is_null().arg_max() or 0
        raise InputError(f"{path}, line {row + 2}: filename is empty")
    return table.with_columns(_numbers(path, table, column) for column in expected[1:])


def _numbers(path: Path, table: pl.DataFrame, column: str) -> pl.Series:
    """The column as numbers; a fold is whole, however it is written (other programs write 0.0)."""
    numbers = table[column].str.strip_chars().cast(pl.Float64, strict=False)
    broken = numbers.is_null() if column != "fold" else numbers.is_null() | (numbers % 1 != 0)
    if broken.any():
        row = broken.arg_max() or 0
        raise InputError(
            f"{path}, line {row + 2}: column {column!r} of clip {table['filename'][row]!r} "
            f"{'is empty' if table[column][row] is None else f'holds {table[column][row]!r}'}, expected a "
            f"{'whole ' if column == 'fold' else ''}number"
        )
    return numbers.cast(pl.Int64) if column == "fold" else numbers


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


def _check_folds(path: Path, table: pl.DataFrame, clips: Sequence[Clip]) -> None:
    for clip, fold in zip(clips, table["fold"], strict=True):
        if clip.fold != fold:
            raise InputError(
                f"{path} puts clip {clip.id!r} in fold {fold}, the metadata in fold {clip.fold}; a model "
                f"must be scored on the fold that it did not train on"
            )
