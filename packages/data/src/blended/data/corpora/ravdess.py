"""RAVDESS: eight acted emotions in speech and song (Livingstone & Russo 2018, Zenodo 1188976).

The only file that knows its names: seven two-digit fields, `03-01-05-02-01-02-12` = modality (01 sound and
picture, 02 picture only, 03 sound only), channel (01 speech, 02 song), emotion, intensity (01 normal, 02
strong), statement, repetition, actor. A take is what six of the fields name; it is one clip, however many of
the three modalities are there.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from blended.data.clip import Clip, Corpus, Finding
from blended.data.corpora.adapter import About, Adapter, Exclusions, Reading
from blended.data.errors import InputError, some
from blended.data.labels import LabelSpace, Mixture

EMOTIONS = ("neu", "calm", "hap", "sad", "ang", "fea", "disg", "sur")
"""In the order of their codes, 01 to 08; what BLEMORE has is named as there."""
SPACE = LabelSpace(EMOTIONS, "single", tuple(Mixture.single(emotion) for emotion in EMOTIONS))

MODALITIES = {"01": "sound and picture", "02": "picture only", "03": "sound only"}
PREFERRED = ("01", "03", "02")
"""Which file of a take is the clip's: the fullest one."""
SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".wav", ".flac", ".m4a", ".mp3")
NUM_FOLDS = 6
"""The usual protocol has six actor-disjoint folds."""

_NAME = re.compile(r"(0[123])-((?:0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4]))")
_ACTOR_FOLDER = re.compile(r"Actor_(\d\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file, as its name says."""

    path: Path
    modality: str
    """A key of `MODALITIES`."""
    take: str
    """The six fields that the modalities of a take share."""
    emotion: str
    actor: str


def recording(path: Path) -> Recording | None:
    """What a file's name says; None for a name of another kind.

    >>> recording(Path("Actor_12/03-01-05-02-01-02-12.wav")).emotion
    'ang'
    """
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    modality, take, emotion, *_, actor = match.groups()
    return Recording(path, modality, take, EMOTIONS[int(emotion) - 1], actor)


def read_corpus(reading: Reading) -> Corpus:
    """Every take below a folder, however deep; one task of eight single labels, actor-disjoint folds.

    Errors among the remarks: a file in another actor's folder, a strong neutral (there is none), two files of
    one take and modality. Raises InputError where there is no recording, and for labels only: the labels are
    in the names of the recordings.
    """
    if reading.labels_only:
        raise InputError(
            "RAVDESS has its labels in the names of its recordings: import these, not labels only"
        )
    remarks: list[Finding] = []
    kept = _recordings(reading.folder, reading.excluded, remarks)
    if not kept:
        raise InputError(
            f"{reading.folder} has no RAVDESS recording: expected files named like "
            f"Actor_12/03-01-05-02-01-02-12.wav, so check the folder"
        )
    takes: dict[str, dict[str, Recording]] = {}
    for one in kept:
        first = takes.setdefault(one.take, {}).setdefault(one.modality, one)
        if first is not one:
            message = f"{one.path} and {first.path} are the same take: remove one, or list it in exclude.yaml"
            remarks.append(Finding("error", one.path.stem, message))
    clips = [_clip(found) for _, found in sorted(takes.items())]
    remarks += _modalities(list(takes.values()))
    return Corpus("ravdess", SPACE, reading.folded(clips, NUM_FOLDS), remarks=tuple(remarks))


def _recordings(folder: Path, excluded: Exclusions, remarks: list[Finding]) -> list[Recording]:
    """The recordings below a folder that are where their names say, in order of path."""
    kept: list[Recording] = []
    strangers: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        place = path.relative_to(folder)
        if excluded.drop(path.stem, place):
            continue
        one = recording(path)
        if one is None:
            strangers.append(place.as_posix())
        elif problem := _problem(one, place):
            remarks.append(
                Finding("error", path.stem, f"{place.as_posix()} {problem}, or list it in exclude.yaml")
            )
        else:
            kept.append(one)
    if strangers:
        message = f"{len(strangers)} file(s) are not named as takes and were left out: {some(strangers)}"
        remarks.append(Finding("warning", "", message))
    return kept


def _problem(one: Recording, place: PurePath) -> str:
    """In words, how a file contradicts itself; empty if it does not."""
    folder = _ACTOR_FOLDER.fullmatch(place.parent.name)
    if folder is not None and folder[1] != one.actor:
        return (
            f"bears the name of actor {one.actor} in the folder of actor {folder[1]}: it is a copy put "
            "there, or misnamed; remove or rename it"
        )
    if one.emotion == "neu" and one.take.split("-")[2] == "02":
        return "is a neutral of strong intensity, which RAVDESS does not have: correct its name"
    return ""


def _clip(found: dict[str, Recording]) -> Clip:
    one = next(found[modality] for modality in PREFERRED if modality in found)
    return Clip(one.path.stem, one.path, one.actor, mixture=Mixture.single(one.emotion))


def _modalities(takes: Sequence[dict[str, Recording]]) -> Iterator[Finding]:
    """How many takes are there more than once, as what."""
    sets = Counter(tuple(sorted(found)) for found in takes)
    several = {names: count for names, count in sets.items() if len(names) > 1}
    for names, count in sorted(several.items()):
        kinds = " and ".join(MODALITIES[name] for name in names)
        message = f"{count} takes are there as {kinds}: one clip each, from the fullest file"
        yield Finding("note", "", message)


def place(path: PurePosixPath) -> PurePosixPath | None:
    """`Actor_NN/<name>`, in the folder where the file was found, which may be the wrong one.

    >>> place(PurePosixPath("Audio_Speech_Actors_01-24/Actor_05/03-01-05-01-01-01-02.wav")).as_posix()
    'Actor_05/03-01-05-01-01-01-02.wav'
    """
    one = recording(Path(path))
    if one is None or path.suffix.lower() not in SUFFIXES:
        return None
    folder = _ACTOR_FOLDER.fullmatch(path.parent.name)
    return PurePosixPath(f"Actor_{folder[1] if folder else one.actor}", path.name)


ADAPTER = Adapter(
    read=read_corpus,
    about=About(
        title="RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song",
        licence="CC-BY-NC-SA-4.0",
        citation="Livingstone SR, Russo FA (2018). PLoS ONE 13(5): e0196391. https://doi.org/10.1371/journal.pone.0196391",
        url="https://zenodo.org/records/1188976",
    ),
    place=place,
    holds="recordings named like 03-01-05-02-01-02-12.wav or 01-01-05-02-01-02-12.mp4",
    exclude="ravdess.yaml",
)
