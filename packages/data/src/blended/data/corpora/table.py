"""Any corpus that is one table: recordings, who is seen in them, and labels of one of the three tasks.

`card.py` says how its columns are described; nothing here knows a corpus.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from blended.data.clip import Clip, Corpus, Finding
from blended.data.corpora.adapter import About, Adapter, Reading
from blended.data.corpora.card import SHIPPED, Card, card_of, read_card
from blended.data.errors import InputError, some, unknown_name
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.splits import SPLITS_NAME, assign_folds, read_splits, with_folds
from blended.data.text_table import inside, read_text_table

MEDIA = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".flv", ".wav", ".flac", ".mp3", ".m4a", ".ogg")


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was understood, before it is a clip."""

    line: int
    path: Path
    actor: str
    part: str
    """train, validation or test."""
    fold: int | None
    mixture: Mixture | None
    soft: SoftLabel | None


def read_corpus(reading: Reading, shipped: str = "") -> Corpus:
    """The corpus of a folder with a table and a card; `shipped` names a card that comes with this package.

    Raises InputError naming file, line and remedy for rows that cannot be understood, rows without their
    recording, two rows for one recording, and paths that lead out of the folder.
    """
    card = card_of(reading.folder, shipped)
    path = inside(reading.folder, card.table)
    table = read_text_table(path, card.columns, f"the table of {card.name}")
    media = reading.folder if card.media == "." else inside(reading.folder, card.media)
    found = {} if reading.labels_only else _by_stem(media)
    space, rows = card.space, list[_Row]()
    for line, cells in table.rows:
        try:
            name = cells[card.path.column].strip(card.path.strip) + card.path.suffix
            file = _file(media, name, found)
            if not reading.excluded.drop(file.stem, file.relative_to(reading.folder)):
                rows.append(_row(card, space, line, cells, file))
        except InputError as error:
            raise InputError(f"{path}, line {line} must be corrected: {error}") from error
    _check_rows(path, rows, check_files=not reading.labels_only)
    clips = _folded(card, reading, rows)
    remarks = _remarks(card, media, rows, found)
    return Corpus(card.name, space, clips, has_media=not reading.labels_only, remarks=tuple(remarks))


def _by_stem(media: Path) -> dict[str, Path]:
    """Every recording below a folder by its stem; a stem that occurs twice names nothing."""
    paths = [p for p in sorted(media.rglob("*")) if p.suffix.lower() in MEDIA and not p.name.startswith(".")]
    counts = Counter(path.stem for path in paths)
    return {path.stem: path for path in paths if counts[path.stem] == 1}


def _file(media: Path, name: str, found: dict[str, Path]) -> Path:
    """The file that a cell names; a bare name may lie in any folder, and without its suffix."""
    path = inside(media, name)
    if path.is_file() or path.parent != media:
        return path
    other = found.get(path.stem) or found.get(path.name)
    return other if other is not None and path.suffix in ("", other.suffix) else path


def _row(card: Card, space: LabelSpace, line: int, cells: dict[str, str], file: Path) -> _Row:
    part = "train"
    if card.split is not None:
        value = cells[card.split.column]
        if value not in card.split.values:
            raise unknown_name(f"value of {card.split.column}", value, card.split.values)
        part = card.split.values[value]
    actor = file.as_posix() if card.actor is None else cells[card.actor]
    if not actor and part != "test":
        raise InputError(f"{card.actor} is empty: expected who is seen, or the folds would share people")
    fold = None
    if card.fold is not None and part != "test":
        if not cells[card.fold].isdigit():
            raise InputError(f"{card.fold} must be a number from 0, got {cells[card.fold]!r}")
        fold = int(cells[card.fold])
    mixture, soft = _label(card, space, cells)
    if mixture is None and soft is None and part != "test":
        raise InputError(
            f"{', '.join(card.label)} is empty: expected a label, or a clip of the test partition"
        )
    return _Row(line, file, actor, part, fold, mixture, soft)


def _label(card: Card, space: LabelSpace, cells: dict[str, str]) -> tuple[Mixture | None, SoftLabel | None]:
    given = [cells[column] for column in card.label]
    if not any(given):
        return None, None
    if card.task == "intensities":
        values = [_number(column, cells[column]) / card.highest for column in card.label]
        by_emotion = {card.emotions[c]: value for c, value in zip(card.label, values, strict=True)}
        ordered = tuple(by_emotion[emotion] for emotion in space.emotions)
        return None, SoftLabel(space.emotions, ordered, "intensities")
    for value in filter(None, given):
        if value not in card.emotions:
            raise unknown_name("emotion", value, card.emotions)
    emotions = [card.emotions[value] for value in given if value]
    if len(emotions) == 1 and given[0]:
        return Mixture.single(emotions[0]), None
    if len({*emotions}) < 2:
        raise InputError(f"two different emotions were expected, got {given}")
    shares = [_number(column, cells[column]) for column in card.shares]
    return Mixture(dict(zip(emotions, shares, strict=True))), None


def _number(column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError as error:
        raise InputError(f"{column} must be a number, got {cell!r}") from error
    if not math.isfinite(value):
        raise InputError(f"{column} must be a finite number, got {cell!r}")
    return value


def _check_rows(table: Path, rows: Sequence[_Row], *, check_files: bool) -> None:
    """One row for every recording, and a recording for every row."""
    line_of: dict[Path, int] = {}
    for row in rows:
        if (line := line_of.setdefault(row.path, row.line)) != row.line:
            raise InputError(
                f"{table}, line {row.line}: {row.path.name} is already on line {line}; expected one row for "
                f"every clip, so remove one of them"
            )
    missing = [row for row in rows if check_files and not row.path.is_file()]
    if missing:
        named = some(f"{row.path.name} (line {row.line})" for row in missing)
        raise InputError(
            f"{table} names clips that are not in {missing[0].path.parent}: {named}; "
            f"copy them there, remove their rows, or list them in exclude.yaml with a reason"
        )
    if not rows:
        raise InputError(f"{table} has no clip that is not excluded: expected at least one row")


def _folded(card: Card, reading: Reading, rows: Sequence[_Row]) -> tuple[Clip, ...]:
    """Published folds, or validation as fold 0 and made folds for the rest."""
    ids = _ids([row.path for row in rows], reading.folder)
    clips = [
        Clip(
            clip_id,
            row.path,
            clip_id if card.actor is None else row.actor,
            "test" if row.part == "test" else "train",
            0 if row.part == "validation" and row.fold is None else row.fold,
            row.mixture,
            row.soft,
        )
        for clip_id, row in zip(ids, rows, strict=True)
    ]
    splits = reading.folder / SPLITS_NAME
    if splits.is_file():
        return read_splits(clips, splits)
    open_clips = [clip for clip in clips if clip.split == "train" and clip.fold is None]
    if not open_clips:
        return tuple(clips)
    first = 1 if any(row.part == "validation" for row in rows) else 0
    made = assign_folds(open_clips, (reading.num_folds or card.num_folds) - first, reading.seed)
    placed = with_folds(open_clips, {actor: fold + first for actor, fold in made.items()})
    fold_of = {clip.id: clip.fold for clip in placed}
    return tuple(replace(clip, fold=fold_of.get(clip.id, clip.fold)) for clip in clips)


def _ids(paths: Sequence[Path], folder: Path) -> list[str]:
    """Stems, or where two files share one, the whole place with underscores."""
    stems = [path.stem for path in paths]
    if len({*stems}) == len(stems):
        return stems
    return ["_".join(path.relative_to(folder).with_suffix("").parts) for path in paths]


def _remarks(card: Card, media: Path, rows: Sequence[_Row], found: dict[str, Path]) -> list[Finding]:
    remarks: list[Finding] = []
    if card.actor is None:
        message = (
            "nobody says who is seen in which clip: only the published partitions keep people apart, folds "
            "that were made do not, so name a column `actor` if there is one"
        )
        remarks.append(Finding("warning", "", message))
    extra = sorted({*found.values()} - {row.path for row in rows})
    if extra:
        listed = some(path.relative_to(media).as_posix() for path in extra)
        message = f"{len(extra)} recording(s) have no row in {card.table} and were left out: {listed}"
        remarks.append(Finding("warning", "", message))
    return remarks


def adapter(shipped: str = "") -> Adapter:
    """The adapter of a table whose card ships under a name; of one that brings its own, without a name."""
    card = read_card(SHIPPED / f"{shipped}.yaml") if shipped else None
    return Adapter(
        read=partial(read_corpus, shipped=shipped),
        about=_about(card) if card else About("A corpus of one table", "see its card", "see its card"),
        holds=f"{card.table} and the recordings that it names"
        if card
        else "card.yaml, its table and recordings",
    )


def about(folder: Path, shipped: str = "") -> About:
    """What the card of a corpus folder says of it."""
    return _about(card_of(folder, shipped))


def _about(card: Card) -> About:
    return About(card.title or card.name, card.licence, card.citation, card.url)
