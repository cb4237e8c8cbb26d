"""What a data card says: the corpus in facts and tables, and a few clips as examples."""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from blended.data import Clip, Corpus, InputError
from blended.data.clip import Finding
from blended.data.corpora.adapter import About
from blended.data.index import Index
from blended.data.labels import set_name
from blended.data.media import read_audio, read_frames
from blended.data.splits import strata, stratum
from blended.eval.report.formats import Cell, Column, Table

NUM_EXAMPLES = 6
BINS = 320
RATE_HZ = 16000
HEIGHT_PX = 144
MEASURES = {
    "duration_seconds": "Length in seconds",
    "loudness_dbfs": "Loudness in dB of full scale",
    "voiced_share": "Voiced share of the time",
}
"""Column of the index -> what it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One clip to be seen and heard of."""

    clip_id: str
    caption: str
    """Its label in words."""
    seconds: float | int
    """Length of the sound; 0 without any."""
    envelope: NDArray[np.float32]
    """[bin, 2]: the lowest and the highest sample of every stretch of the sound; empty without any."""
    png: bytes
    """A picture from its middle; empty without any."""


@dataclass(frozen=True, slots=True, eq=False)
class DataCard:
    """Everything on the card."""

    index: Index
    findings: tuple[Finding, ...]
    """What `blended.data.findings.check` says of it."""
    about: About
    examples: tuple[Example, ...] = ()
    """Pictures and sounds; of people only if they are asked for."""
    show_people: bool = False
    """Whether examples of a corpus that is not rendered may be shown."""

    def __post_init__(self) -> None:
        """Raises InputError for examples of real people that nobody asked for."""
        if self.examples and not (self.index.corpus.synthetic or self.show_people):
            raise InputError(
                f"examples were given for {self.index.corpus.name!r}, whose recordings show identifiable "
                f"people; a card is passed on, so they need --show-people"
            )


def examples(index: Index, *, show_people: bool = False, count: int = NUM_EXAMPLES) -> tuple[Example, ...]:
    """The first readable clip of each of the first emotion sets, by different actors where there are.

    Nothing for a corpus without recordings, and for recordings of people unless `show_people`.
    """
    if not index.corpus.has_media or not (index.corpus.synthetic or show_people):
        return ()
    rows = {row["id"]: row for row in index.table.iter_rows(named=True) if row["problem"] is None}
    return tuple(_example(clip, rows[clip.id]) for clip in _chosen(index, rows, count))


def _chosen(index: Index, rows: dict[str, dict[str, Any]], count: int) -> Iterator[Clip]:
    waiting = [clip for clip in index.corpus.train if clip.id in rows]
    sets, actors = set[str](), set[str]()
    while waiting and count:
        new_set = [clip for clip in waiting if stratum(clip) not in sets]
        clip = next((clip for clip in new_set if clip.actor not in actors), (new_set or waiting)[0])
        yield clip
        waiting.remove(clip)
        sets.add(stratum(clip))
        actors.add(clip.actor)
        count -= 1


def _example(clip: Clip, row: dict[str, Any]) -> Example:
    envelope, seconds = np.empty((0, 2), np.float32), 0.0
    if row["audio_codec"] is not None:
        sound = read_audio(clip.path, RATE_HZ)
        envelope, seconds = _envelope(sound.values), sound.duration_seconds
    caption = clip.mixture.name if clip.mixture else stratum(clip)
    return Example(clip.id, caption, seconds, envelope, _picture(clip, row) if row["video_codec"] else b"")


def _envelope(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[bin, 2]: lowest and highest sample of every stretch."""
    edges = np.linspace(0, len(values), min(BINS, len(values)) + 1).astype(int)
    parts = [values[start:end] for start, end in pairwise(edges.tolist())]
    return np.array([(part.min(), part.max()) for part in parts], dtype=np.float32)


def _picture(clip: Clip, row: dict[str, Any]) -> bytes:
    """The middle frame as PNG."""
    from matplotlib.image import imsave

    width = max(2, round(HEIGHT_PX * row["width"] / row["height"]))
    frames = read_frames(clip.path, 4, size=(HEIGHT_PX, width))
    buffer = io.BytesIO()
    imsave(buffer, frames.values[len(frames.values) // 2], format="png")
    return buffer.getvalue()


def card_tables(card: DataCard) -> dict[str, Table]:
    """Every table of a card by name; one without rows is left out."""
    made = [_labels(card.index.corpus), _folds(card.index.corpus), _actors(card.index), _media(card.index)]
    made += [_measures(card.index), _findings(card)]
    return {table.name: table for table in made if table.rows}


def _labels(corpus: Corpus) -> Table:
    if corpus.space.task == "intensities":
        return _intensities(corpus)
    return _sets_by_share(corpus) if corpus.space.task == "mixture" else _singles(corpus)


def _sets_by_share(corpus: Corpus) -> Table:
    """Emotion set x share, in the order of the label space, then whatever else is there."""
    mixtures = [clip.mixture for clip in corpus.train if clip.mixture is not None]
    known = [set_name(emotions) for emotions in corpus.space.emotion_sets]
    counts = Counter((set_name(m.emotions), _share(m.name)) for m in mixtures)
    names = list(dict.fromkeys([*known, *sorted({name for name, _ in counts})]))
    shares = sorted({share for _, share in counts}, key=lambda share: (share != "alone", share))
    rows = [
        (
            name,
            *(counts[name, share] or None for share in shares),
            sum(counts[name, share] for share in shares),
        )
        for name in names
    ]
    columns = (Column("Emotions"), *map(Column, shares), Column("Clips"))
    caption = "Labelled clips by emotions and their shares in percent, in alphabetical order of the emotions."
    return Table("labels", caption, columns, tuple(rows))


def _share(name: str) -> str:
    return name.partition(":")[2] or "alone"


def _singles(corpus: Corpus) -> Table:
    """Clips of each emotion and, where there are raters, how many of these agree."""
    counts = strata(corpus.train)
    rated = any(clip.soft is not None for clip in corpus.train)
    rows: list[tuple[Cell, ...]] = []
    for place, emotion in enumerate(corpus.space.emotions):
        shares = [c.soft.values[place] for c in corpus.train if c.soft is not None and stratum(c) == emotion]
        agreeing = (float(np.mean(shares)) if shares else None,) if rated else ()
        rows.append((emotion, counts[emotion], *agreeing))
    columns = (Column("Emotion"), Column("Clips"), *((Column("Share of raters who agree"),) if rated else ()))
    return Table("labels", "Labelled clips by emotion.", columns, tuple(rows))


def _intensities(corpus: Corpus) -> Table:
    values = np.array([clip.soft.values for clip in corpus.train if clip.soft is not None])
    rows = [
        (emotion, float(column.mean()), float(column.std()), int(np.count_nonzero(column)))
        for emotion, column in zip(corpus.space.emotions, values.T, strict=True)
    ]
    columns = (Column("Emotion"), Column("Mean"), Column("Deviation"), Column("Clips above zero"))
    return Table("labels", "Intensities in [0, 1] of the labelled clips.", columns, tuple(rows))


def _folds(corpus: Corpus) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for fold in corpus.folds:
        clips = [clip for clip in corpus.train if clip.fold == fold]
        rows.append((f"fold {fold}", len(clips), len({clip.actor for clip in clips}), len(strata(clips))))
    if corpus.test:
        rows.append(("test", len(corpus.test), len({c.actor for c in corpus.test if c.actor}) or None, None))
    columns = (Column("Partition"), Column("Clips"), Column("Actors"), Column("Emotion sets"))
    return Table("folds", "Partitions; no actor is in two.", columns, tuple(rows))


def _actors(index: Index) -> Table:
    """What there is of every actor; of the test partition only where they are named."""
    grouped = (
        index.table.filter(pl.col("actor") != "")
        .group_by("actor")
        .agg(
            pl.len().alias("clips"),
            pl.col("fold").first(),
            pl.col("duration_seconds").median().alias("seconds"),
            pl.col("loudness_dbfs").median().alias("loudness"),
            pl.col("voiced_share").median().alias("voiced"),
        )
        .sort("actor")
    )
    rows = tuple(grouped.iter_rows())
    names = ("Actor", "Clips", "Fold", "Seconds, median", "Loudness in dBFS, median", "Voiced share, median")
    return Table("actors", "Clips of every actor.", tuple(map(Column, names)), rows)


def _media(index: Index) -> Table:
    """Kinds of files, the most frequent first."""
    names = ("video_codec", "width", "height", "fps", "audio_codec", "rate_hz", "channels")
    readable = index.table.filter(pl.col("problem").is_null() & pl.col("sha256").is_not_null())
    kinds = (
        readable.with_columns(pl.col("fps").round(2))
        .group_by(*names)
        .len()
        .sort("len", *names, descending=True)
    )
    rows: list[tuple[Cell, ...]] = []
    for video, width, height, fps, audio, rate_hz, channels, count in kinds.iter_rows():
        seen = f"{video}, {width} x {height}, {fps:g} frames a second" if video else None
        heard = f"{audio}, {rate_hz} Hz, {channels} channel(s)" if audio else None
        rows.append((seen, heard, count))
    columns = (Column("Picture"), Column("Sound"), Column("Clips"))
    kept = [place for place in range(3) if any(row[place] is not None for row in rows)]
    return Table(
        "media",
        "Kinds of recordings.",
        tuple(columns[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in rows),
    )


def _measures(index: Index) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, title in MEASURES.items():
        values = index.table[name].drop_nulls().to_numpy()
        if len(values):
            spread = np.percentile(values, [0, 10, 50, 90, 100])
            rows.append((title, *(float(value) for value in spread)))
    columns = tuple(map(Column, ("Measure", "Lowest", "10 %", "Median", "90 %", "Highest")))
    return Table("measures", "What was measured on the recordings.", columns, tuple(rows))


def _findings(card: DataCard) -> Table:
    rows = tuple((finding.level, finding.clip_id, finding.message) for finding in card.findings)
    columns = (Column("Level"), Column("Clip"), Column("Finding"))
    return Table("findings", "What was found, most urgent first.", columns, rows)
