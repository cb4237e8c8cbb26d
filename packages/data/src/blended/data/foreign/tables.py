"""Tables of numbers as extractors write them: how they are read, and what their columns mean.

Any of comma, semicolon or tab; the index column that pandas leaves behind; decimal commas beside semicolons;
cells that hold a list; NaN in its many spellings. Columns are known of OpenFace 2.2 and 1.0
(`FeatureExtraction`) and OpenFace 3; of openSMILE 2 and 3 (`csvoutput`), of the Python package opensmile and
of anything else every number is a feature.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from blended.data.errors import InputError
from blended.data.text_table import read_text_table

SEPARATORS = ",;\t"
# What pandas writes for an index without a name, and reads back.
INDEX_NAME = re.compile(r"|Unnamed: \d+(_level_\d+)?|level_\d+|__index_level_\d+__")
NOTHING = ("", "nan", "na", "n/a", "none", "null", "-nan", "nan(ind)", "-nan(ind)", "?")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)", re.IGNORECASE)
_DECIMAL_COMMA = r"^([-+]?\d+),(\d+)$"


# Labels and numbering: training on one of these would be training on the answer, or on nothing.
NO_FEATURES = frozenset(
    {
        *("actor", "actor_id", "age", "gender", "person", "sex", "speaker", "subject"),
        *("arousal", "class", "dominance", "emotion", "emotion_id", "intensity", "intensity_level", "label"),
        *("mix", "repetition", "sentence", "situation", "statement", "take", "valence", "version"),
        *("clip", "file", "filename", "id", "index", "input", "name", "path", "segment", "video", "video_id"),
        *("fold", "partition", "split", "confidence", "face", "face_id", "success"),
        *("end", "frame", "frameindex", "frametime", "start", "time", "timestamp"),
    }
)
# A timestamp that is a frame number, or in milliseconds, gives no rate.
PLAUSIBLE_HZ = (1.0, 300.0)


class ImportedConfig(BaseModel):
    """How a source of features is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Of the store's folder, and in recipes."""
    kind: Literal["imported"] = "imported"
    modality: Literal["audio", "video"]
    """What the extractor listened to or looked at."""
    columns: tuple[str, ...] = ()
    """Columns to keep, `*` and `?` allowed; empty for those that are usual for the layout (`LAYOUTS`)."""
    clip_column: str = ""
    """Of a table with a row per clip: the column that names them; empty for the one that fits best."""
    min_confidence: float | int = Field(default=0.5, ge=0, le=1)
    """OpenFace: frames tracked with less are left out, as are those without success."""
    rate_hz: float | int | None = Field(default=None, gt=0)
    """Time steps per second; None for what timestamps say, or else steps over the length of the clip."""
    dtype: Literal["float16", "float32"] = "float32"
    """On disk; single precision keeps what was given."""
    licence: str = "unknown"
    """Of the features."""


@dataclass(frozen=True, slots=True, eq=False)
class NumbersTable:
    """A table of which some columns are numbers."""

    path: Path
    columns: tuple[str, ...]
    """Names of the numeric columns; a column of lists `x` gives `x_0`, `x_1`, ..."""
    values: NDArray[np.float64]
    """[row, column]; NaN where nothing or no number stands."""
    texts: dict[str, list[str]]
    """Every column as text, lists and numbers included."""

    def column(self, name: str) -> NDArray[np.float64]:
        """[row] of one numeric column."""
        return self.values[:, self.columns.index(name)]


@dataclass(frozen=True, slots=True)
class Layout:
    """How an extractor writes."""

    name: str
    fits: Callable[[Sequence[str]], bool]
    """Whether columns are its own."""
    frame_columns: tuple[str, ...]
    """Patterns of what is usually kept of every frame."""
    clip_columns: tuple[str, ...]
    """The same of a table of means over clips."""


def _has(*patterns: str) -> Callable[[Sequence[str]], bool]:
    return lambda columns: all(any(fnmatchcase(name, p) for name in columns) for p in patterns)


LAYOUTS = (
    # As the official baseline of BLEMORE: 17 intensities, 6 of the pose, 8 of the gaze (6 in OpenFace 1).
    Layout(
        "OpenFace 2",
        _has("AU??_r"),
        ("AU??_r", "pose_[TR][xyz]", "gaze_*"),
        ("AU??_r", "AU??_c", "pose_[TR][xyz]", "gaze_*"),
    ),
    # Eight intensities in one cell, the strongest emotion, two angles.
    Layout("OpenFace 3", _has("action_units*"), ("action_units*", "emotion_index", "gaze_*"), ()),
)
OTHER = Layout("a table of numbers", lambda columns: True, (), ())


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a source has for one clip."""

    values: NDArray[np.floating]
    """[time, dim], finite; frames without a tracked face are left out."""
    columns: tuple[str, ...]
    """Names of the columns; empty where the source has none."""
    rate_hz: float | None
    """Steps per second where the source says so; 0 for one vector for the whole clip."""
    num_masked: int = 0
    """Frames that were left out."""


def layout_of(columns: Sequence[str]) -> Layout:
    """The extractor that wrote these columns."""
    return next((layout for layout in LAYOUTS if layout.fits(columns)), OTHER)


def chosen(table: NumbersTable, config: ImportedConfig, *, per_clip: bool) -> tuple[str, ...]:
    """The columns to keep, in the order of the table; raises InputError where none fits."""
    layout = layout_of(table.columns)
    usual = (layout.clip_columns or layout.frame_columns) if per_clip else layout.frame_columns
    patterns = config.columns or usual
    if patterns:
        kept = [name for name in table.columns if any(fnmatchcase(name, p) for p in patterns)]
    else:
        kept = [name for name in table.columns if name.lower() not in NO_FEATURES]
    if not kept:
        raise InputError(
            f"{table.path} has no column of numbers that fits {', '.join(patterns) or 'a feature'}; it has "
            f"{', '.join([*table.texts][:12])}: correct `columns`"
        )
    return tuple(kept)


def frames(table: NumbersTable, config: ImportedConfig) -> Given:
    """The frames of one clip that were tracked well enough and hold numbers only.

    Of several faces the one with the most such frames is kept. Raises InputError where no frame is left.
    """
    columns = chosen(table, config, per_clip=False)
    values = table.values[:, [table.columns.index(name) for name in columns]]
    good: NDArray[np.bool_] = np.all(np.isfinite(values), axis=1)
    if "success" in table.columns:
        good = good & (table.column("success") == 1)
    if "confidence" in table.columns:
        good = good & (table.column("confidence") >= config.min_confidence)
    face = _face(table, good)
    if not (good & face).any():
        raise InputError(_reason(table, columns, values, config))
    # openSMILE's functionals are a table of one row.
    rate_hz = 0.0 if len(values) == 1 else _rate(table, face)
    return Given(values[good & face], columns, rate_hz, int(face.sum() - (good & face).sum()))


def _face(table: NumbersTable, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[row]: rows of the face that is tracked longest; all where there is one."""
    if "face_id" not in table.columns:
        return np.ones(len(good), dtype=bool)
    face_id = table.column("face_id")
    ids, counts = np.unique(face_id[good & np.isfinite(face_id)], return_counts=True)
    return np.ones(len(good), dtype=bool) if len(ids) < 2 else face_id == ids[int(counts.argmax())]


def _reason(
    table: NumbersTable, columns: Sequence[str], values: NDArray[np.float64], config: ImportedConfig
) -> str:
    empty = [name for place, name in enumerate(columns) if np.isnan(values[:, place]).all()]
    if empty:
        return f"{table.path} has no number in {', '.join(empty[:5])}: leave these out through `columns`"
    return (
        f"{table.path} has no frame that was tracked with confidence {config.min_confidence:g} and holds "
        f"numbers only ({len(values)} frames in all)"
    )


def _rate(table: NumbersTable, rows: NDArray[np.bool_]) -> float | None:
    """Steps per second from timestamps in seconds; None without any, or where they cannot be seconds."""
    times = {"timestamp", "frametime"}
    name = next((column for column in table.columns if column.lower() in times), None)
    if name is None or rows.sum() < 2:
        return None
    step = float(np.median(np.diff(table.column(name)[rows])))
    return 1 / step if step > 0 and PLAUSIBLE_HZ[0] <= 1 / step <= PLAUSIBLE_HZ[1] else None


def read_numbers(path: Path) -> NumbersTable:
    """A CSV or Parquet file; raises InputError as `read_text_table` does, and for lists of other lengths."""
    table = read_text_table(path, (), "features, so extract them again", separators=SEPARATORS)
    texts = {name: cells for name, cells in table.cells.items() if not INDEX_NAME.fullmatch(name)}
    names: list[str] = []
    parts = [np.empty((len(table.lines), 0))]
    for name, cells in texts.items():
        found = _numbers(path, name, cells, decimal_commas=table.separator == ";")
        if found is not None:
            names += [name] if found.shape[1] == 1 else [f"{name}_{k}" for k in range(found.shape[1])]
            parts.append(found)
    return NumbersTable(path, tuple(names), np.hstack(parts), texts)


def _numbers(path: Path, name: str, texts: list[str], *, decimal_commas: bool) -> NDArray[np.float64] | None:
    """[row, part] of a column of numbers or lists; None for a column of text."""
    cells = pl.Series(texts, dtype=pl.String)
    if cells.str.starts_with("[").any():
        return _lists(path, name, texts)
    if decimal_commas:
        cells = cells.str.replace(_DECIMAL_COMMA, "$1.$2")
    numbers = cells.cast(pl.Float64, strict=False)
    is_text = numbers.is_null() & ~cells.str.to_lowercase().is_in(NOTHING)
    if is_text.any() or bool((cells == "").all()):
        return None
    return numbers.fill_null(float("nan")).to_numpy()[:, None]


def _lists(path: Path, name: str, cells: list[str]) -> NDArray[np.float64]:
    """[row, part] of cells such as `[0.1, 0.2]`; a row without a list is NaN."""
    rows = [
        [float(number) for number in _NUMBER.findall(cell)] if cell.startswith("[") else [] for cell in cells
    ]
    length = max(map(len, rows))
    values = np.full((len(rows), length), np.nan)
    for line, row in enumerate(rows, start=2):
        if row and len(row) != length:
            raise InputError(
                f"{path}, line {line}: {name} holds {len(row)} numbers where other rows hold {length}; "
                f"extract the features again"
            )
        values[line - 2] = row or np.nan
    return values
