"""What the columns of known extractors mean: which are features, which frames to leave out, at what rate.

Sources: OpenFace 2.2 and 1.0 (`FeatureExtraction`), OpenFace 3, openSMILE 2 and 3 (`csvoutput`) and the
Python package opensmile. Anything else is a table of which every number is a feature.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError
from blended.data.foreign.config import ImportedConfig
from blended.data.foreign.numbers_table import NumbersTable

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
class Frames:
    """The features of one clip, as a table had them."""

    columns: tuple[str, ...]
    values: NDArray[np.float64]
    """[time, column], finite; frames without a tracked face are left out."""
    rate_hz: float | None
    """Time steps per second where timestamps say so."""
    num_masked: int
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


def frames(table: NumbersTable, config: ImportedConfig) -> Frames:
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
    return Frames(columns, values[good & face], _rate(table, face), int(face.sum() - (good & face).sum()))


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
