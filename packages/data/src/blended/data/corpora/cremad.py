"""CREMA-D: 7,442 clips of 91 actors, rated by a crowd (Cao et al. 2014, CheyneyComputerScience/CREMA-D).

The only file that knows its names, `1001_DFA_ANG_XX` = actor, sentence, acted emotion, intensity, and its
votes. The acted emotion is the label; the shares of raters who saw and heard the clip are its soft label.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from blended.data.clip import Clip, Corpus, Finding
from blended.data.corpora.adapter import About, Adapter, Reading
from blended.data.errors import InputError
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.text_table import read_text_table

CODES = {"ANG": "ang", "DIS": "disg", "FEA": "fea", "HAP": "hap", "SAD": "sad", "NEU": "neu"}
"""Code in a name -> emotion, as BLEMORE names and orders them."""
VOTES = {"A": "ang", "D": "disg", "F": "fea", "H": "hap", "S": "sad", "N": "neu"}
"""Column of votes -> emotion."""
EMOTIONS = tuple(CODES.values())
SPACE = LabelSpace(EMOTIONS, "single", tuple(Mixture.single(emotion) for emotion in EMOTIONS))

Condition = Literal["voice", "face", "both"]
CONDITIONS: dict[str, Condition] = {"1": "voice", "2": "face", "3": "both"}
"""First digit of a row's number -> what its raters were given."""

TABLE = "tabulatedVotes.csv"
FOLDERS = {".flv": "VideoFlash", ".mp4": "VideoFlash", ".mov": "VideoFlash", ".wav": "AudioWAV"}
"""Where files lie by suffix; a clip's is the first that is there."""

_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)")


def read_corpus(reading: Reading) -> Corpus:
    """`VideoFlash/` or `AudioWAV/` and `tabulatedVotes.csv` (may be absent); labels only: the votes alone.

    Raises InputError for names of another kind, for no clip at all, and for votes that cannot be read.
    """
    table = _votes_table(reading.folder)
    votes = read_votes(table) if table is not None else {}
    if reading.labels_only:
        if table is None:
            raise InputError(
                f"{reading.folder / TABLE} does not exist: expected the votes of CREMA-D's raters"
            )
        files = {stem: reading.folder / "AudioWAV" / f"{stem}.wav" for stem in votes}
    else:
        files = _files(reading.folder)
    kept = {
        stem: path
        for stem, path in sorted(files.items())
        if not reading.excluded.drop(stem, path.relative_to(reading.folder))
    }
    clips = [replace(_clip(stem, path), soft=votes.get(stem)) for stem, path in kept.items()]
    return Corpus(
        "cremad",
        SPACE,
        reading.folded(clips),
        has_media=not reading.labels_only,
        remarks=tuple(_remarks(clips)) if table is not None else (),
    )


def _clip(stem: str, path: Path) -> Clip:
    match = _NAME.fullmatch(stem)
    if match is None:
        raise InputError(
            f"{path} is not a CREMA-D clip: expected a name like 1001_DFA_ANG_XX; move it elsewhere"
        )
    return Clip(stem, path, match[1], mixture=Mixture.single(CODES[match[3]]))


def _files(folder: Path) -> dict[str, Path]:
    """Clips by stem: pictures with sound where they are, sound alone elsewhere."""
    found: dict[str, Path] = {}
    for suffix, name in FOLDERS.items():
        for path in sorted((folder / name).glob(f"*{suffix}")):
            if not path.name.startswith("."):
                found.setdefault(path.stem, path)
    if not found:
        raise InputError(
            f"{folder} has neither VideoFlash/*.flv nor AudioWAV/*.wav: expected the clips of CREMA-D, so "
            f"check the folder, or import the labels only"
        )
    return found


def _votes_table(folder: Path) -> Path | None:
    """At the root, or where the repository keeps it."""
    places = (folder / TABLE, folder / "processedResults" / TABLE)
    return next((path for path in places if path.is_file()), None)


def read_votes(path: Path, condition: Condition = "both") -> dict[str, SoftLabel]:
    """Clip to the shares of raters who chose each emotion, of those that were given this condition.

    Raises InputError naming the line for counts that are no numbers, no rater at all, and a clip twice.
    """
    table = read_text_table(path, ("", *VOTES, "fileName"), "the votes of CREMA-D's raters")
    shares: dict[str, SoftLabel] = {}
    for line, row in table.rows:
        if CONDITIONS.get(row[""][:1]) != condition:
            continue
        counts = {VOTES[column]: row[column] for column in VOTES}
        if not all(count.isdigit() for count in counts.values()) or not any(map(int, counts.values())):
            raise InputError(f"{path}, line {line}: expected counts of raters and at least one, got {counts}")
        if row["fileName"] in shares:
            raise InputError(
                f"{path}, line {line}: two rows of votes on {row['fileName']!r} ({condition}); remove one"
            )
        total = sum(map(int, counts.values()))
        values = tuple(int(counts[emotion]) / total for emotion in EMOTIONS)
        shares[row["fileName"]] = SoftLabel(EMOTIONS, values)
    return shares


def _remarks(clips: Sequence[Clip]) -> Iterator[Finding]:
    """Clips without votes, and how often the crowd took the acted emotion for another."""
    for clip in clips:
        if clip.soft is None:
            yield Finding("warning", clip.id, "no rater's vote: it is trained on as acted; check its name")
    rated = [clip for clip in clips if clip.soft is not None]
    differ = sum(not _agrees(clip) for clip in rated)
    if rated:
        message = (
            f"for {differ} of {len(rated)} clips most raters chose another emotion than was acted: the label "
            f"is what was acted, the soft label what was perceived"
        )
        yield Finding("note", "", message)


def _agrees(clip: Clip) -> bool:
    """Whether the acted emotion is among those with the most votes."""
    assert clip.mixture is not None and clip.soft is not None
    shares: Mapping[str, float] = dict(zip(clip.soft.emotions, clip.soft.values, strict=True))
    return shares[next(iter(clip.mixture.emotions))] == max(shares.values())


def place(path: PurePosixPath) -> PurePosixPath | None:
    """Clips by suffix, and the votes.

    >>> place(PurePosixPath("CREMA-D/AudioWAV/1001_DFA_ANG_XX.wav")).as_posix()
    'AudioWAV/1001_DFA_ANG_XX.wav'
    """
    if path.name == TABLE:
        return PurePosixPath(TABLE)
    folder = FOLDERS.get(path.suffix.lower())
    return PurePosixPath(folder, path.name) if folder and _NAME.fullmatch(path.stem) else None


ADAPTER = Adapter(
    read=read_corpus,
    about=About(
        title="CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset",
        licence="ODbL-1.0 (database), DbCL-1.0 (contents)",
        citation="Cao H et al. (2014). IEEE Transactions on Affective Computing 5(4), 377-390",
        url="https://github.com/CheyneyComputerScience/CREMA-D",
    ),
    place=place,
    holds="clips named like 1001_DFA_ANG_XX and tabulatedVotes.csv",
)
