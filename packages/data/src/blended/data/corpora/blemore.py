"""BLEMORE: blended emotions acted with face, body and voice (arXiv 2601.13225).

The only file that knows how BLEMORE names its clips and which columns its metadata has. Stems are
`A102_ang_int1_ver1` (single, intensity 1 to 4), `A303_neu_sit2_ver1` (neutral, situation) and
`A411_mix_ang_hap_30_70_ver1` (blend with shares); test clips are `test_0001` and so on.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path, PurePosixPath

from blended.data.clip import Clip, Corpus, Finding
from blended.data.corpora.adapter import About, Adapter, Exclusions, Reading
from blended.data.errors import InputError, some
from blended.data.labels import LabelSpace, Mixture
from blended.data.text_table import read_text_table

EMOTIONS = ("ang", "disg", "fea", "hap", "sad", "neu")
BLENDABLE = EMOTIONS[:-1]
SHARE_GRID = ((50.0, 50.0), (70.0, 30.0), (30.0, 70.0))

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

TABLE = "train_metadata.csv"

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
_TEST = re.compile(r"test_\d+")
_LEVEL = re.compile(r"_(?P<kind>int|sit)(?P<number>\d+)_ver\d+$")


def read_corpus(reading: Reading) -> Corpus:
    """BLEMORE as released: `train/*.mov`, `test/*.mov` (may be absent) and `train_metadata.csv`.

    Raises InputError for whatever `read_layout` refuses.
    """
    return read_layout(reading, name="blemore", suffix=".mov")


def place(path: PurePosixPath) -> PurePosixPath | None:
    """Clips by their names, in whatever zips and folders they came; features that ship with them are none.

    >>> place(PurePosixPath("train_part_2/A102_ang_int1_ver1.MOV")).as_posix()
    'train/A102_ang_int1_ver1.mov'
    """
    if path.name == TABLE:
        return PurePosixPath(TABLE)
    if path.suffix.lower() != ".mov":
        return None
    named = f"{path.stem}.mov"
    return PurePosixPath("test", named) if _TEST.fullmatch(path.stem) else PurePosixPath("train", named)


def read_layout(reading: Reading, *, name: str, suffix: str, synthetic: bool = False) -> Corpus:
    """A folder with BLEMORE's layout, names and table: labelled clips in the table's order, then test clips.

    Test clips are found by their files; their labels and actors are unknown. Labels only: from the table
    alone. A label that disagrees with its clip's name is an error among the remarks. Raises InputError
    naming file and row for rows and clips that do not belong together, a clip named twice, a fold without a
    clip, and rows that `read_metadata` refuses.
    """
    folder, table = reading.folder, reading.folder / TABLE
    remarks: list[Finding] = []
    clips = read_metadata(table, folder / "train", suffix, excluded=reading.excluded, remarks=remarks)
    _check_folds(table, clips)
    if reading.labels_only:
        return Corpus(name, SPACE, clips, synthetic, has_media=False, remarks=tuple(remarks))
    files = _media_files(folder / "train", suffix, reading.excluded)
    _check_files(table, folder / "train", suffix, [clip.id for clip in clips], files)
    labelled = (replace(clip, path=files[clip.id]) for clip in clips)
    tests = _media_files(folder / "test", suffix, reading.excluded)
    if wrong := [stem for stem in tests if not _TEST.fullmatch(stem)]:
        raise InputError(
            f"{folder / 'test'} has {some(wrong)}: expected test clips named like test_0001{suffix}; move "
            f"what is not one elsewhere"
        )
    unlabelled = (Clip(id=stem, path=path, actor="", split="test") for stem, path in tests.items())
    return Corpus(name, SPACE, (*labelled, *unlabelled), synthetic, remarks=tuple(remarks))


def _media_files(folder: Path, suffix: str, excluded: Exclusions) -> dict[str, Path]:
    """Media files by stem, in order of name; hidden files (a Mac's `._` doubles) are none."""
    if not folder.is_dir():
        return {}
    return {
        path.stem: path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == suffix
        and not path.name.startswith(".")
        and not excluded.drop(path.stem, path.relative_to(folder.parent))
    }


def _check_files(table: Path, folder: Path, suffix: str, rows: Iterable[str], files: dict[str, Path]) -> None:
    named = set(rows)
    if missing := sorted(named - files.keys()):
        raise InputError(
            f"{table} names clips that are not in {folder}: {some(missing)}; expected a {suffix} file for "
            f"every row, so copy the missing clips, remove their rows, or list them in exclude.yaml"
        )
    if extra := sorted(files.keys() - named):
        raise InputError(
            f"{folder} has clips without a row in {table}: {some(extra)}; expected one row for every clip, "
            f"so add the rows or move the clips elsewhere"
        )


def _check_folds(table: Path, clips: tuple[Clip, ...]) -> None:
    """Training clips only, in folds numbered from 0 without a gap."""
    if tests := [clip.id for clip in clips if clip.split == "test"]:
        raise InputError(
            f"{table} names the test clip {tests[0]!r}, expected training clips only; move its row to a "
            f"table of its own"
        )
    used = {clip.fold for clip in clips}
    highest = max(clip.fold or 0 for clip in clips)
    # A wrong cell can hold any number: only the first gap is looked for.
    gap = next((fold for fold in range(highest) if fold not in used), None)
    if gap is not None:
        raise InputError(
            f"{table}: fold {gap} has no clip, but there is a fold {highest}; expected folds numbered from 0 "
            f"without a gap, so correct the column fold"
        )


def level_from_name(stem: str) -> str:
    """How a clip was acted, for breaking results down: its intensity level, its situation, or `blend`.

    >>> level_from_name("A102_ang_int1_ver1"), level_from_name("A303_neu_sit2_ver1")
    ('intensity 1', 'situation 2')
    """
    found = _LEVEL.search(stem)
    if found is None:
        return "blend"
    return f"{'intensity' if found['kind'] == 'int' else 'situation'} {found['number']}"


GROUPINGS = {"intensity level": level_from_name}
"""What the names of clips say beyond their labels."""


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


def read_metadata(
    path: Path,
    media: Path | None = None,
    suffix: str = ".mov",
    *,
    excluded: Exclusions | None = None,
    remarks: list[Finding] | None = None,
) -> tuple[Clip, ...]:
    """The labelled clips of a metadata table, in its order.

    `media` is the folder of the clips (default: beside the table); whether they exist is not checked
    here. Rows of `excluded` clips are not even looked at. Raises InputError naming the file and row for
    missing columns, a clip named twice, unknown emotions, shares off the grid or not adding up, and labels
    that disagree with the file name; with `remarks`, the last are added to these as errors instead.
    """
    table = read_text_table(path, COLUMNS, "BLEMORE's train_metadata.csv")
    folder = path.parent if media is None else media
    clips: list[Clip] = []
    line_of: dict[str, int] = {}
    for number, row in table.rows:
        place = f"{path}, line {number}"
        file = folder / f"{row['filename']}{suffix}"
        if excluded is not None and excluded.drop(row["filename"], file.relative_to(path.parent)):
            continue
        try:
            clip = _clip(row, file)
            disagreement = _disagreement(clip)
        except InputError as error:
            raise InputError(f"{place} must be corrected: {error}") from error
        if disagreement and remarks is None:
            raise InputError(f"{place} must be corrected: {disagreement}")
        if disagreement and remarks is not None:
            remarks.append(Finding("error", clip.id, f"{place}: {disagreement}, or list it in exclude.yaml"))
        if (line := line_of.setdefault(clip.id, number)) != number:
            raise InputError(
                f"{place}: clip {clip.id!r} is already on line {line}; expected one row for every clip, so "
                f"remove one of them"
            )
        clips.append(clip)
    return tuple(clips)


def _clip(row: dict[str, str], file: Path) -> Clip:
    name, actor, fold = row["filename"], row["video_id"], row["fold"]
    if not name or not actor:
        raise InputError(f"filename and video_id must be filled, got {name!r} and {actor!r}")
    mixture = _mixture(row)
    in_test = _TEST.fullmatch(name) is not None
    if not in_test and not fold.isdigit():
        raise InputError(f"fold of {name!r} must be a number from 0, got {fold!r}")
    return Clip(
        id=name,
        path=file,
        actor=actor,
        split="test" if in_test else "train",
        fold=None if in_test else int(fold),
        mixture=mixture,
    )


def _disagreement(clip: Clip) -> str:
    """In words, how the label of a training clip differs from its name; empty if it does not."""
    if clip.split == "test" or clip.mixture is None:
        return ""
    named = truth_from_name(clip.id)
    if named == clip.mixture:
        return ""
    return f"{clip.id!r} says {named.name} but its columns say {clip.mixture.name}; correct one of them"


def _mixture(row: dict[str, str]) -> Mixture:
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
        shares = {first: float(row["emotion_1_salience"]), second: float(row["emotion_2_salience"])}
    except ValueError as error:
        raise InputError(f"the saliences of {row['filename']!r} must be two numbers of percent") from error
    mixture = SPACE.check(Mixture(shares))
    if mixture not in SPACE.states:
        raise InputError(
            f"{row['filename']!r} is labelled {mixture.name}: BLEMORE has pairs of "
            f"{', '.join(BLENDABLE)} at 50/50, 70/30 and 30/70 only"
        )
    return mixture


ADAPTER = Adapter(
    read=read_corpus,
    about=About(
        title="BLEMORE",
        licence="see the record on Zenodo; recordings of people, for research",
        citation="The BLEMORE paper, arXiv 2601.13225",
        url="https://zenodo.org/records/17787362",
    ),
    place=place,
    holds="train_metadata.csv and clips named like A102_ang_int1_ver1.mov and test_0001.mov",
    has_published_folds=True,
    groupings=GROUPINGS,
)
"""The Zenodo record: zips or folders of clips, and the table with the five published folds."""
