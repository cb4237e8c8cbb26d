"""What a data card is made from: the corpus in facts, and a few clips as examples."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blended.data import Clip, InputError
from blended.data.clip import Finding
from blended.data.corpora.adapter import About
from blended.data.index import Index
from blended.data.media import read_audio, read_frames
from blended.data.splits import stratum


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


NUM_EXAMPLES = 6
BINS = 320
RATE_HZ = 16000
HEIGHT_PX = 144


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
