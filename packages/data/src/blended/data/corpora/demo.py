"""The demo corpus: rendered clips in BLEMORE's layout, as .mp4, with the truth of its test clips kept apart.

The adapter never reads `apart/`: what is trained and decided cannot have seen it.
"""

from pathlib import Path

from blended.data.clip import Clip, Corpus
from blended.data.corpora import blemore
from blended.data.errors import InputError
from blended.data.labels import Mixture

NAME = "demo"
SUFFIX = ".mp4"
APART = Path("apart") / "test_metadata.csv"
"""Labels and actors of the test clips, for scoring after everything has been decided."""


def read_corpus(folder: Path) -> Corpus:
    """The demo corpus in a folder; synthetic. Raises InputError as `blemore.read_layout` does."""
    return blemore.read_layout(folder, name=NAME, suffix=SUFFIX, synthetic=True)


def test_truth(folder: Path) -> dict[str, Mixture]:
    """What was rendered in every test clip, by id; for scoring only."""
    return {clip.id: clip.mixture for clip in _kept_apart(folder) if clip.mixture is not None}


def test_actors(folder: Path) -> dict[str, str]:
    """Who is seen in every test clip, by id."""
    return {clip.id: clip.actor for clip in _kept_apart(folder)}


def _kept_apart(folder: Path) -> tuple[Clip, ...]:
    table = folder / APART
    clips = blemore.read_metadata(table, folder / "test", SUFFIX)
    if wrong := [clip.id for clip in clips if clip.split != "test"]:
        raise InputError(
            f"{table} names {wrong[0]!r}, expected test clips such as test_0001 only; render the corpus anew"
        )
    return clips
