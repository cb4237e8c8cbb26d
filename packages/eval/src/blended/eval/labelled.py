"""What is true of the clips that are scored, whatever their label space: from a table, or an indexed corpus.

A table has one row per clip. Its columns are BLEMORE's (`train_metadata.csv`), or:

    filename, fold              the clip, and the fold that was held out when it was scored
    actor (or video_id)         who is seen
    label                       one emotion; or
    emotion_1, emotion_2, emotion_1_salience, emotion_2_salience    a blend and its shares in percent, the
                                last three empty for one emotion; or
    truth                       as runs write it: a JSON object of shares; or
    one column per emotion      intensities from 0 to 1, under the emotion's name or `truth_NAME`

The order of emotions is that of the columns of the scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blended.data import Clip, InputError, LabelSpace, Mixture
from blended.data.corpora import blemore, groups
from blended.data.index import read_index
from blended.data.labels import SoftLabel
from blended.data.people import forbid_shared_actors
from blended.data.text_table import TextTable

INDEX = "data/index/{}.parquet"
"""Where the index of a corpus lies below the working folder."""
BLEND = ("emotion_1", "emotion_2", "emotion_1_salience", "emotion_2_salience")
EXPECTED = "a table of labels: BLEMORE's train_metadata.csv, or filename, actor, fold and label"


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Clips with their labels, and the label space that these are of."""

    space: LabelSpace
    clips: tuple[Clip, ...]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Name of a grouping, such as `intensity level` -> the group of every clip."""


def labels_of_corpus(corpus: str) -> Labelled:
    """Of an indexed corpus, by name or by the path of its index; raises InputError where there is none."""
    path = Path(corpus) if corpus.endswith(".parquet") else Path(INDEX.format(corpus))
    index = read_index(path)
    clips = index.corpus.train
    found = groups(index.corpus.name, [clip.id for clip in clips])
    return Labelled(index.corpus.space, clips, {name: [*own] for name, own in found.items()})


def labels_of_table(table: TextTable, emotions: Sequence[str]) -> Labelled:
    """Of a table; `emotions` are those that are scored, in the order of their columns.

    Raises InputError naming file and line for labels that cannot be read, emotions that are not scored, and
    an actor in two folds.
    """
    if {"video_id", *BLEND} <= {*table.columns} and {*table.cells["emotion_1"]} <= {*blemore.EMOTIONS}:
        return _of_blemore(table)
    space, labels = _labels(table, emotions)
    actor = next((name for name in ("actor", "video_id") if name in table.columns), None)
    missing = [*([] if actor else ["actor"]), *(n for n in ("filename", "fold") if n not in table.columns)]
    if actor is None or missing:
        raise InputError(f"{table.path} lacks the column(s) {', '.join(missing)}: expected {EXPECTED}")
    names, people, folds = (table.cells[name] for name in ("filename", actor, "fold"))
    clips: list[Clip] = []
    for line, name, who, fold, (mixture, soft) in zip(table.lines, names, people, folds, labels, strict=True):
        number = _fold(table, line, fold)
        clips.append(Clip(name, Path(name), who, "train", number, mixture, soft))
    forbid_shared_actors([clip.actor for clip in clips], [clip.fold for clip in clips])
    return Labelled(space, tuple(clips))


def _of_blemore(table: TextTable) -> Labelled:
    clips = tuple(clip for clip in blemore.read_metadata(table.path) if clip.split == "train")
    forbid_shared_actors([clip.actor for clip in clips], [clip.fold for clip in clips])
    levels = [blemore.level_from_name(clip.id) for clip in clips]
    return Labelled(blemore.SPACE, clips, {"intensity level": levels})


def _fold(table: TextTable, line: int, cell: str) -> int:
    try:
        return int(float(cell)) if float(cell) % 1 == 0 else int(cell)
    except ValueError as error:
        raise InputError(
            f"{table.path}, line {line}: fold holds {cell!r}, expected a whole number"
        ) from error


Label = tuple[Mixture | None, SoftLabel | None]


def _labels(table: TextTable, emotions: Sequence[str]) -> tuple[LabelSpace, list[Label]]:
    columns = {*table.columns}
    # Columns of emotions may be scores, where the table says in other columns what is true.
    named = columns & {"truth", "label", "emotion_1"}
    for prefix in ("truth_", "") if not named else ():
        if {f"{prefix}{emotion}" for emotion in emotions} <= columns:
            return _intensities(table, emotions, prefix)
    if not named:
        raise InputError(
            f"{table.path} has the columns {', '.join(table.columns)} and no label among them: expected "
            f"{EXPECTED}, or a column of intensities for each of {', '.join(emotions)}"
        )
    mixtures: list[Mixture] = []
    known = LabelSpace(tuple(emotions))
    for line, row in table.rows:
        try:
            mixtures.append(known.check(_mixture(row)))
        except (InputError, ValueError) as error:
            raise InputError(f"{table.path}, line {line}: {error}") from error
    singles = [Mixture.single(emotion) for emotion in emotions]
    blends = sorted({one for one in mixtures if one.is_blend}, key=lambda one: one.name)
    space = LabelSpace(tuple(emotions), "mixture" if blends else "single", (*singles, *blends))
    return space, [(mixture, None) for mixture in mixtures]


def _mixture(row: Mapping[str, str]) -> Mixture:
    if row.get("truth"):
        return Mixture.from_json(row["truth"])
    if row.get("label"):
        return Mixture.single(row["label"])
    first, second, share, other = (row.get(name, "") for name in BLEND)
    if not first:
        raise InputError("there is no label: fill it, or remove the row and its scores")
    if not second:
        return Mixture.single(first)
    return Mixture({first: float(share), second: float(other)})


def _intensities(table: TextTable, emotions: Sequence[str], prefix: str) -> tuple[LabelSpace, list[Label]]:
    found: list[Label] = []
    for line, row in table.rows:
        try:
            values = tuple(float(row[f"{prefix}{emotion}"]) for emotion in emotions)
            found.append((None, SoftLabel(tuple(emotions), values, "intensities")))
        except (InputError, ValueError) as error:
            raise InputError(f"{table.path}, line {line}: {error}; intensities lie in [0, 1]") from error
    return LabelSpace(tuple(emotions), "intensities"), found
