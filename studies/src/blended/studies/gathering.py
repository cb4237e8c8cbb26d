"""What a fusion strategy is trained on, gathered from the feature stores."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from blended.data import Corpus, InputError
from blended.data.errors import some
from blended.data.store import FeatureStore
from blended.encoders.names import parse_feature_reference
from blended.encoders.pooling import pool_store, read_layers
from blended.fusion.inputs import Inputs
from blended.fusion.media import Media
from blended.fusion.sequences import Sequences, pack
from blended.studies.params import Missing

Memory = dict[tuple[object, ...], Any]
"""Features that were read, by what they are of; grows by every encoder, [clip, dim] as float32. Pooled ones
are in the machine's memory, whatever the device."""

Read = TypeVar("Read")


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


def gather(
    corpus: Corpus,
    stores: Mapping[str, FeatureStore],
    modality_of: Mapping[str, str],
    reads: Literal["vectors", "sequences", "media"],
    device: str,
    memory: Memory | None = None,
    media: Media | None = None,
) -> Inputs:
    """Features of the training clips, then of the test clips, with truth, folds and people.

    The keys of `modality_of` name features: a store, or some layers of it, such as `wavlm-large@6-12`. What
    is in `memory` is not read again. A strategy that reads `media` is given that of the clips, and no stores.
    """
    train, clips = corpus.train, (*corpus.train, *corpus.test)
    ids = tuple(clip.id for clip in clips)
    missing = {name: np.array([i not in known for i in ids]) for name, known in _known(stores).items()}
    vectors: dict[str, Tensor] = {}
    sequences: dict[str, Sequences] = {}
    for feature in modality_of if reads != "media" else ():
        wanted = parse_feature_reference(feature)
        store = stores[wanted.name]
        given = (store, wanted.layers, ids, missing[wanted.name])
        key = (reads, str(store.folder.resolve()), store.identity, wanted.layers, ids)
        if reads == "vectors":
            pooled = _remembered(memory, key, lambda given=given: _vectors(*given))
            vectors[feature] = pooled.to(device)
        else:
            key = (*key, device)
            sequences[feature] = _remembered(memory, key, lambda given=given: _steps(*given, device))
    absent = {feature: missing[parse_feature_reference(feature).name] for feature in (*vectors, *sequences)}
    return Inputs(
        space=corpus.space,
        targets=torch.tensor([corpus.target(c) for c in train], dtype=torch.float32, device=device),
        folds=np.array([clip.fold for clip in train]),
        clips=ids,
        actors=tuple(clip.actor for clip in clips),
        modality_of=modality_of,
        features=vectors,
        sequences=sequences,
        media=media,
        missing={feature: gone for feature, gone in absent.items() if gone.any()},
    )


def _remembered(memory: Memory | None, key: tuple[object, ...], read: Callable[[], Read]) -> Read:
    """What was read before under this key, or is read now."""
    if memory is None:
        return read()
    if key not in memory:
        memory[key] = read()
    return memory[key]


def _known(stores: Mapping[str, FeatureStore]) -> dict[str, frozenset[str]]:
    return {name: frozenset(store.clips) for name, store in stores.items()}


def _vectors(
    store: FeatureStore,
    layers: str | None,
    ids: tuple[str, ...],
    absent: Bool[np.ndarray, "clip"],
) -> Tensor:
    """[clip, dim]; zeros for clips without."""
    pooled = pool_store(store, [i for i, gone in zip(ids, absent, strict=True) if not gone], layers)
    whole = np.zeros((len(ids), pooled.shape[1]), np.float32)
    whole[~absent] = pooled
    return torch.from_numpy(whole)


def _steps(
    store: FeatureStore,
    layers: str | None,
    ids: tuple[str, ...],
    absent: Bool[np.ndarray, "clip"],
    device: str,
) -> Sequences:
    read = [None if gone else read_layers(store, i, layers) for i, gone in zip(ids, absent, strict=True)]
    rates = {features.rate_hz for features in read if features is not None}
    if rates == {0.0} or len(rates) != 1:
        found = "no steps over time" if rates == {0.0} else "several rates"
        raise InputError(
            f"the features in {store.folder} have {found}, expected sequences of one rate: use early or late "
            f"fusion for them"
        )
    return pack([None if one is None else one.values for one in read], rates.pop(), device)
