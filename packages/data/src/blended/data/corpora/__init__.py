"""Corpora, one file each: nothing outside a corpus's file knows its names and columns.

A new corpus is a file with an `ADAPTER` and a line in `CORPORA`; or, if it is one table, a `card.yaml` beside
that table and no line at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from blended.data.clip import Corpus
from blended.data.corpora import blemore, card, cremad, demo, ravdess, table
from blended.data.corpora.adapter import EXCLUDE_NAME, About, Adapter, Exclusions, Reading, read_exclusions
from blended.data.errors import InputError, unknown_name
from blended.data.labels import Mixture
from blended.data.text_table import read_utf8

CORPORA: dict[str, Adapter] = {
    "blemore": blemore.ADAPTER,
    "cremad": cremad.ADAPTER,
    "demo": demo.ADAPTER,
    "emotions": table.adapter("emotions"),
    "hume-reaction": table.adapter("hume-reaction"),
    "ravdess": ravdess.ADAPTER,
    "table": table.adapter(),
}
"""Every known corpus by name."""

IMPORT_NAME = "import.yaml"
"""What an import wrote down about itself in the corpus folder."""


def adapter_of(name: str, folder: Path) -> Adapter:
    """The adapter of that name; that of tables for another name whose folder has a card of this name.

    Raises InputError for an unknown name.
    """
    if name in CORPORA:
        return CORPORA[name]
    own = folder / card.CARD_NAME
    if own.is_file() and (given := card.read_card(own).name) != name:
        raise InputError(f"{own} describes the corpus {given!r}, not {name!r}: use one name for both")
    if own.is_file():
        return CORPORA["table"]
    raise unknown_name("corpus", name, CORPORA)


def own_name(name: str, source: Path) -> str:
    """What the card of a folder calls its corpus, for the name `table`; any other name as it is."""
    path = source / card.CARD_NAME
    return card.read_card(path).name if name == "table" and path.is_file() else name


def read_corpus(
    name: str,
    folder: Path,
    *,
    labels_only: bool | None = None,
    num_folds: int | None = None,
    seed: int = 0,
) -> Corpus:
    """The corpus of that name in a folder; `num_folds` and `seed` are for corpora without published folds.

    Whether there are labels only is remembered by the import, unless it is said here. Clips that the
    folder's `exclude.yaml` names (or, without one, the list that ships for the corpus) are left out and
    noted among the remarks. Raises InputError for an unknown name or a wrong folder.
    """
    if not folder.is_dir() and name not in CORPORA:
        raise unknown_name("corpus", name, CORPORA)
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder, expected the {name} corpus: check the path or make it first"
        )
    adapter = adapter_of(name, folder)
    excluded = exclusions(adapter, folder)
    said = _labels_only(folder) if labels_only is None else labels_only
    corpus = adapter.read(Reading(folder, said, excluded, num_folds, seed))
    return replace(corpus, remarks=(*corpus.remarks, *excluded.remarks()))


def exclusions(adapter: Adapter, folder: Path) -> Exclusions:
    """What is to be left out of a corpus folder: by its own list, or else by the one that ships."""
    own = folder / EXCLUDE_NAME
    shipped = shipped_exclusions(adapter) if adapter.exclude else None
    if own.is_file():
        # An import copies the shipped list, which is meant for a whole corpus: not every copy is one.
        return read_exclusions(own, complete=shipped is None or own.read_bytes() != shipped.read_bytes())
    return read_exclusions(shipped, complete=False) if shipped is not None else Exclusions()


def shipped_exclusions(adapter: Adapter) -> Path:
    """The list that ships for a corpus."""
    return Path(__file__).parent / "exclude" / adapter.exclude


def held_out_truth(name: str, folder: Path) -> Mapping[str, Mixture]:
    """The labels of the test clips of a corpus, by id, for scoring after everything has been decided.

    Empty where they are withheld. Raises InputError for an unknown name and a table that cannot be read.
    """
    return adapter_of(name, folder).held_out_truth(folder) or {}


def ceiling(name: str, folder: Path) -> Mapping[str, Mapping[str, float]]:
    """How well a corpus could be read at best: what an oracle sees -> metric -> value; mostly unknown."""
    return adapter_of(name, folder).ceiling(folder)


def groups(name: str, clip_ids: Sequence[str]) -> dict[str, list[str]]:
    """What results are broken down by: name of a grouping -> the group of every clip, in the order given.

    Empty for a corpus of one table: its names say nothing that we know of.
    """
    found = CORPORA[name].groupings if name in CORPORA else {}
    return {grouping: [group(clip_id) for clip_id in clip_ids] for grouping, group in found.items()}


def about(name: str, folder: Path) -> About:
    """Title, licence and citation of a corpus, for its data card."""
    if (folder / card.CARD_NAME).is_file():
        return table.about(folder)
    return adapter_of(name, folder).about


def _labels_only(folder: Path) -> bool:
    path = folder / IMPORT_NAME
    if not path.is_file():
        return False
    try:
        noted: object = yaml.safe_load(read_utf8(path))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: import the corpus again") from error
    return isinstance(noted, dict) and noted.get("labels_only") is True
