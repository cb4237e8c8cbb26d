"""BLEMORE: blended emotions acted with face, body and voice (arXiv 2601.13225).

The only file that knows how BLEMORE names its clips and which columns its metadata has. Stems are
`A102_ang_int1_ver1` (single, intensity 1 to 4), `A303_neu_sit2_ver1` (neutral, situation) and
`A411_mix_ang_hap_30_70_ver1` (blend with shares).
"""

import re
from itertools import combinations
from pathlib import Path

import polars as pl

from blended.data.clip import Clip
from blended.data.errors import InputError
from blended.data.labels import LabelSpace, Mixture

EMOTIONS = ("ang", "disg", "fea", "hap", "sad", "neu")
BLENDABLE = EMOTIONS[:-1]
SHARE_GRID = ((50, 50), (70, 30), (30, 70))

SPACE = LabelSpace(
    EMOTIONS,
    "mixture",
    (
        *(Mixture.single(emotion) for emotion in EMOTIONS),
        *(
            Mixture({first: p, second: q})
            for first, second in combinations(BLENDABLE, 2)
            for p, q in SHARE_GRID
        ),
    ),
)
"""36 label states: 6 singles, then ten pairs at 50/50, 70/30 and 30/70."""

COLUMNS = (
    "filename",
    "video_id",
    "mix",
    "emotion_1",
    "emotion_2",
    "emotion_1_salience",
    "emotion_2_salience",
    "fold",
)
"""The columns of `train_metadata.csv` that are used; others may be there."""

_BLEND = re.compile(r"(?P<actor>[^_]+)_mix_(?P<e1>[a-z]+)_(?P<e2>[a-z]+)_(?P<p1>\d+)_(?P<p2>\d+)_ver\d+")
_SINGLE = re.compile(r"(?P<actor>[^_]+)_(?P<e1>[a-z]+)_(?:int|sit)\d+_ver\d+")


def truth_from_name(stem: str) -> Mixture:
    """What a training clip's file name says was acted.

    Raises InputError for a name that does not follow BLEMORE's pattern or names an unknown emotion.

    >>> truth_from_name("A411_mix_ang_hap_30_70_ver1").name
    'ang+hap:30/70'
    >>> truth_from_name("A303_neu_sit2_ver1").name
    'neu'
    """
    if match := _BLEND.fullmatch(stem):
        shares = {match["e1"]: float(match["p1"]), match["e2"]: float(match["p2"])}
        return SPACE.check(Mixture(shares))
    if match := _SINGLE.fullmatch(stem):
        return SPACE.check(Mixture.single(match["e1"]))
    raise InputError(
        f"{stem!r} is not a BLEMORE training clip: expected a name like A102_ang_int1_ver1, "
        f"A303_neu_sit2_ver1 or A411_mix_ang_hap_30_70_ver1"
    )


def read_metadata(path: Path, media: Path | None = None, suffix: str = ".mov") -> tuple[Clip, ...]:
    """The labelled clips of a metadata table, in its order.

    `media` is the folder of the clips (default: beside the table); whether they exist is not checked
    here. Raises InputError naming the file and row for missing columns, unknown emotions, shares off
    the grid or not adding up, and labels that disagree with the file name.
    """
    table = _read_table(path)
    folder = path.parent if media is None else media
    clips: list[Clip] = []
    for number, row in enumerate(table.iter_rows(named=True), start=2):
        try:
            clips.append(_clip(row, folder, suffix))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    return tuple(clips)


def _read_table(path: Path) -> pl.DataFrame:
    """Every column as text, so that a malformed number is reported with its row and not by polars."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: expected BLEMORE's train_metadata.csv")
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 CSV: {error}") from error
    if missing := [column for column in COLUMNS if column not in table.columns]:
        hint = " (the separator must be a comma)" if ";" in table.columns[0] else ""
        raise InputError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}{hint}"
        )
    if not table.height:
        raise InputError(f"{path} has no rows below its header")
    return table


def _clip(row: dict[str, str | None], folder: Path, suffix: str) -> Clip:
    name, actor, fold = row["filename"], row["video_id"], row["fold"]
    if not name or not actor:
        raise InputError(f"filename and video_id must be filled, got {name!r} and {actor!r}")
    mixture = _mixture(row)
    in_test = re.fullmatch(r"test_\d+", name) is not None
    if not in_test:
        if (named := truth_from_name(name)) != mixture:
            raise InputError(
                f"{name!r} says {named.name} but its columns say {mixture.name}; correct one of them"
            )
        if fold is None or not fold.isdigit():
            raise InputError(f"fold of {name!r} must be a number from 0, got {fold!r}")
    return Clip(
        id=name,
        path=folder / f"{name}{suffix}",
        actor=actor,
        split="test" if in_test else "train",
        fold=None if in_test else int(fold or 0),
        mixture=mixture,
    )


def _mixture(row: dict[str, str | None]) -> Mixture:
    first, second = row["emotion_1"], row["emotion_2"]
    if not first:
        raise InputError(f"emotion_1 of {row['filename']!r} is empty")
    if row["mix"] not in ("0", "1") or (row["mix"] == "1") != bool(second):
        raise InputError(
            f"mix of {row['filename']!r} must be 1 with two emotions and 0 with one, got {row['mix']!r} "
            f"with emotion_2 {second!r}"
        )
    if not second:
        return SPACE.check(Mixture.single(first))
    try:
        shares = {
            first: float(row["emotion_1_salience"] or ""),
            second: float(row["emotion_2_salience"] or ""),
        }
    except ValueError as error:
        raise InputError(f"the saliences of {row['filename']!r} must be two numbers of percent") from error
    mixture = SPACE.check(Mixture(shares))
    if mixture not in SPACE.states:
        raise InputError(
            f"{row['filename']!r} is labelled {mixture.name}: BLEMORE has pairs of "
            f"{', '.join(BLENDABLE)} at 50/50, 70/30 and 30/70 only"
        )
    return mixture
