"""Features of encoders as strategies read them: gathered from feature stores, and made of a new file."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from blended.data import InputError
from blended.data.store import FeatureStore
from blended.encoders.names import parse_feature_reference
from blended.encoders.one_file import Built, Decoded, encode, encode_steps, wanted_by
from blended.encoders.pooling import pool_store, read_layers
from blended.fusion.inputs import Inputs
from blended.fusion.sequences import Sequences, pack
from blended.fusion.strategy import Gathering, InputKind, Memory, Reader

T = TypeVar("T")


def gather_vectors(config: Any, given: Gathering) -> Inputs:
    """One pooled vector per clip and feature: a store, or some layers of it, such as `wavlm-large@6-12`."""
    absent, inputs = _absent(given), labelled(given)
    for feature in given.modality_of:
        wanted = parse_feature_reference(feature)
        store, gone = given.stores[wanted.name], absent[feature]
        key = ("vectors", str(store.folder.resolve()), store.identity, wanted.layers, inputs["clips"])
        read = partial(_vectors, store, wanted.layers, inputs["clips"], gone)
        inputs["features"][feature] = _remembered(given.memory, key, read).to(given.device)
    return Inputs(**inputs, missing={name: gone for name, gone in absent.items() if gone.any()})


def gather_sequences(config: Any, given: Gathering) -> Inputs:
    """The steps over time of every clip and feature; raises InputError for features that have none."""
    absent, inputs = _absent(given), labelled(given)
    for feature in given.modality_of:
        wanted = parse_feature_reference(feature)
        store, gone = given.stores[wanted.name], absent[feature]
        place = str(store.folder.resolve())
        key = ("sequences", place, store.identity, wanted.layers, inputs["clips"], given.device)
        read = partial(_steps, store, wanted.layers, inputs["clips"], gone, given.device)
        inputs["sequences"][feature] = _remembered(given.memory, key, read)
    return Inputs(**inputs, missing={name: gone for name, gone in absent.items() if gone.any()})


def labelled(given: Gathering) -> dict[str, Any]:
    """Arguments of `Inputs` that say of the training clips, then of the test clips, who and what they are."""
    corpus = given.corpus
    train, clips = corpus.train, (*corpus.train, *corpus.test)
    targets = [corpus.target(clip) for clip in train]
    return {
        "space": corpus.space,
        "targets": torch.tensor(targets, dtype=torch.float32, device=given.device),
        "folds": np.array([clip.fold for clip in train]),
        "clips": tuple(clip.id for clip in clips),
        "actors": tuple(clip.actor for clip in clips),
        "modality_of": given.modality_of,
        "features": {},
        "sequences": {},
    }


def _absent(given: Gathering) -> dict[str, Bool[np.ndarray, "clip"]]:
    """Feature -> clips that its store has nothing of."""
    known = {name: frozenset(store.clips) for name, store in given.stores.items()}
    clips = (*given.corpus.train, *given.corpus.test)
    return {
        feature: np.array([clip.id not in known[parse_feature_reference(feature).name] for clip in clips])
        for feature in given.modality_of
    }


def _remembered(memory: Memory | None, key: tuple[object, ...], read: Callable[[], T]) -> T:
    """What was read before under this key, or is read now."""
    if memory is None:
        return read()
    if key not in memory:
        memory[key] = read()
    return memory[key]


def _vectors(
    store: FeatureStore, layers: str | None, ids: tuple[str, ...], absent: Bool[np.ndarray, "clip"]
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


def vectors_reader(config: Any, encoders: Built, device: str) -> Reader:
    """Pooled features of a new file, [1, dim] by encoder, as of a clip of a corpus."""

    def read(decoded: Decoded) -> dict[str, Tensor]:
        encoded = encode([decoded], encoders, device)
        return {name: torch.from_numpy(values).to(device) for name, values in encoded.items()}

    return Reader(wanted_by(encoders), read)


def sequences_reader(config: Any, encoders: Built, device: str) -> Reader:
    """Steps over time of a new file, by encoder."""

    def read(decoded: Decoded) -> dict[str, Sequences]:
        steps = encode_steps([decoded], encoders, device)
        return {
            name: pack([one.values for one in given], given[0].rate_hz, device)
            for name, given in steps.items()
        }

    return Reader(wanted_by(encoders), read)


VECTORS = InputKind("vectors", gather_vectors, vectors_reader)
SEQUENCES = InputKind("sequences", gather_sequences, sequences_reader)
