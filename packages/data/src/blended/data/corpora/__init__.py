"""Corpora, one file each: nothing outside a corpus's file knows its names and columns."""

from collections.abc import Callable
from pathlib import Path

from blended.data.clip import Corpus
from blended.data.corpora import blemore, demo
from blended.data.errors import InputError, unknown_name

CORPORA: dict[str, Callable[[Path], Corpus]] = {
    "blemore": blemore.read_corpus,
    "demo": demo.read_corpus,
}
"""Every known corpus by name: each reads a corpus folder."""


def read_corpus(name: str, folder: Path) -> Corpus:
    """The corpus of that name in a folder; raises InputError for an unknown name or a wrong folder."""
    if name not in CORPORA:
        raise unknown_name("corpus", name, CORPORA)
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder, expected the {name} corpus: check the path or make it first"
        )
    return CORPORA[name](folder)
