"""Which clips of a corpus can be trained and judged on: for want of features, or of clips of an emotion."""

from collections.abc import Mapping
from dataclasses import replace

from blended.data import Corpus, InputError
from blended.data.errors import some
from blended.data.store import FeatureStore
from blended.eval.protocol import Protocol
from blended.studies.params import Missing


def lacking(stores: Mapping[str, FeatureStore], corpus: Corpus) -> dict[str, frozenset[str]]:
    """Encoder -> the clips of the corpus that it has no features of; encoders that lack none are left out."""
    wanted = {clip.id for clip in corpus.clips}
    lacks = {name: frozenset(wanted - set(store.clips)) for name, store in stores.items()}
    return {name: clips for name, clips in lacks.items() if clips}


def complete(
    corpus: Corpus, lacks: Mapping[str, frozenset[str]], num_encoders: int, missing: Missing
) -> Corpus:
    """The corpus with the clips that are trained and judged on.

    `drop` leaves out clips that any encoder lacks, `mask` those that all of them lack. Raises InputError for
    `refuse`, naming encoders and clips.
    """
    if not lacks:
        return corpus
    if missing == "refuse":
        told = "; ".join(f"{name} lacks {len(ids)} ({some(sorted(ids))})" for name, ids in lacks.items())
        raise InputError(
            f"not every encoder has features of every clip: {told}. Extract or import them, or set in the "
            f"recipe `missing: drop` to leave these clips out, or `missing: mask` to fuse what each clip has"
        )
    gone = frozenset[str]().union(*lacks.values())
    if missing == "mask":
        everywhere = [*lacks.values()] if len(lacks) == num_encoders else [frozenset[str]()]
        gone = frozenset.intersection(*everywhere)
    return replace(corpus, clips=tuple(clip for clip in corpus.clips if clip.id not in gone))


def emotions_missing(corpus: Corpus) -> list[str]:
    """A sentence per emotion that some folds have no clip of: what is measured there says nothing about it.

    One that a single fold has cannot be recognised there: who judges it was trained on the other folds.
    """
    has: dict[str, set[int | None]] = {emotion: set() for emotion in corpus.space.emotions}
    for clip in corpus.train:
        for emotion in clip.mixture.emotions if clip.mixture is not None else ():
            has[emotion].add(clip.fold)
    said: list[str] = []
    for emotion, folds in has.items():
        gone = [f"fold {fold}" for fold in corpus.folds if fold not in folds] if folds else []
        if len(folds) == 1 and gone:
            said.append(
                f"only fold {next(iter(folds))} has clips of {emotion!r}: no model that judges them was "
                f"trained on any; spread them over the folds, or leave them out through exclude.yaml"
            )
        elif gone:
            said.append(
                f"{', '.join(gone)} without any clip of {emotion!r}: scores there say nothing about it"
            )
    return said


def usable(corpus: Corpus, protocol: Protocol) -> Corpus:
    """Without the test partition, if the trial is transductive and nobody says who is seen there."""
    if protocol.transductive and not all(clip.actor for clip in corpus.clips):
        return replace(corpus, clips=tuple(clip for clip in corpus.clips if clip.split == "train"))
    return corpus
