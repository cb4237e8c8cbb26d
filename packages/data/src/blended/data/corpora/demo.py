"""The demo corpus: rendered clips in BLEMORE's layout, as .mp4, with the truth of its test clips kept apart.

The adapter never reads `apart/`: what is trained and decided cannot have seen it.
"""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl

from blended.data.clip import Clip, Corpus
from blended.data.corpora import blemore
from blended.data.corpora.adapter import About, Adapter, Reading
from blended.data.errors import InputError
from blended.data.labels import Mixture

NAME = "demo"
SUFFIX = ".mp4"
APART = Path("apart") / "test_metadata.csv"
"""Labels of the test clips, for scoring after everything has been decided."""
ACTORS = "test_actors.csv"
CEILING = "ceiling.json"


def read_corpus(reading: Reading) -> Corpus:
    """The demo corpus in a folder; synthetic. Raises InputError as `blemore.read_layout` does."""
    corpus = blemore.read_layout(reading, name=NAME, suffix=SUFFIX, synthetic=True)
    actors = _test_actors(reading.folder / ACTORS)
    clips = [replace(clip, actor=actors.get(clip.id, clip.actor)) for clip in corpus.clips]
    return replace(corpus, clips=tuple(clips))


def test_truth(folder: Path) -> dict[str, Mixture]:
    """What was rendered in every test clip, by id; for scoring only."""
    return {clip.id: clip.mixture for clip in _kept_apart(folder) if clip.mixture is not None}


def held_out_truth(folder: Path) -> dict[str, Mixture] | None:
    """`test_truth`; None for a corpus that was rendered without a test partition."""
    return test_truth(folder) if (folder / "test").is_dir() else None


def ceiling(folder: Path) -> dict[str, dict[str, float]]:
    """The oracle's metrics on the training partition by what it sees, as rendered; empty without the file."""
    path = folder / CEILING
    return json.loads(path.read_text(encoding="utf-8"))["train"]["oracle"] if path.is_file() else {}


def _test_actors(table: Path) -> dict[str, str]:
    """Who is seen in every test clip, by id: what normalisation per actor needs, and no label."""
    if not table.is_file():
        return {}
    rows = pl.read_csv(table, infer_schema=False)
    return dict(zip(rows["filename"], rows["video_id"], strict=True))


def _kept_apart(folder: Path) -> tuple[Clip, ...]:
    table = folder / APART
    clips = blemore.read_metadata(table, folder / "test", SUFFIX)
    if wrong := [clip.id for clip in clips if clip.split != "test"]:
        raise InputError(
            f"{table} names {wrong[0]!r}, expected test clips such as test_0001 only; render the corpus anew"
        )
    return clips


ADAPTER = Adapter(
    read=read_corpus,
    about=About(
        title="The demo corpus of blended",
        licence="Apache-2.0",
        citation="Rendered by blended from a seed; it shows nobody",
    ),
    holds="what `blended data demo` rendered",
    has_published_folds=True,
    held_out_truth=held_out_truth,
    ceiling=ceiling,
    groupings=blemore.GROUPINGS,
)
