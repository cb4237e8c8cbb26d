"""From features over time to what a classifier is trained on: one vector per clip, or its time steps.

Clips are read one by one from the memory-mapped shards; no shard is ever in memory as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int

from blended.data.errors import InputError
from blended.data.features import Features
from blended.data.store import FeatureStore, Row
from blended.encoders.names import chosen_layers

PERCENTILES = (10, 25, 50, 75, 90)
STATISTICS = ("mean", "std", "p10", "p25", "p50", "p75", "p90")

Pooling = Literal["statistics", "mean"]
"""The seven statistics over time of the official BLEMORE baseline, or the mean alone."""


def pool(
    values: Float[np.ndarray, "time dim"], pooling: Pooling = "statistics"
) -> Float32[np.ndarray, "pooled"]:
    """[7 * dim]: all means, then all standard deviations (population), then each percentile; or all means.

    Percentiles are interpolated linearly, as `numpy.percentile` does, but from one sort for all five. One
    time step gives a deviation of 0 and itself as every percentile. Source: `blemore-common`, aggregation.

    >>> pool(np.array([[0.0], [10.0]]))
    array([5. , 5. , 1. , 2.5, 5. , 7.5, 9. ], dtype=float32)
    """
    if pooling == "mean":
        return values.mean(axis=0, dtype=np.float64).astype(np.float32)
    # One row per column of the input: sorting and summing along contiguous memory is several times faster.
    rows = np.ascontiguousarray(values.T, dtype=np.float32)
    mean, std = _moments(rows)
    rows.sort(axis=1)
    places = np.array(PERCENTILES) / 100 * (rows.shape[1] - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, rows.shape[1] - 1)
    low, high = rows[:, below].astype(np.float64), rows[:, above].astype(np.float64)
    percentiles = low + (high - low) * (places - below)
    return np.concatenate([mean, std, percentiles.T.ravel()]).astype(np.float32)


def _moments(
    rows: Float32[np.ndarray, "dim time"],
) -> tuple[Float[np.ndarray, "dim"], Float[np.ndarray, "dim"]]:
    """Mean and deviation of each row, in double precision."""
    wide = rows.astype(np.float64)
    mean = wide.mean(axis=1)
    wide -= mean[:, None]
    return mean, np.sqrt(np.einsum("ij,ij->i", wide, wide) / wide.shape[1])


def pooled_columns(columns: Sequence[str], pooling: Pooling = "statistics") -> tuple[str, ...]:
    """Names for what `pool` returns.

    >>> pooled_columns(["f0", "energy"])[:3]
    ('mean_f0', 'mean_energy', 'std_f0')
    """
    statistics = STATISTICS if pooling == "statistics" else STATISTICS[:1]
    return tuple(f"{statistic}_{column}" for statistic in statistics for column in columns)


def read_layers(store: FeatureStore, clip_id: str, layers: str | None = None) -> Features:
    """The features of a clip in one layer, or the mean of several: "9", "6-12", "all"; None for the last.

    Raises InputError for layers that are not stored, clips without features and damaged shards.
    """
    chosen = chosen_layers(layers, store.layers)
    first = store.read(clip_id, chosen[0])
    if len(chosen) == 1:
        return first
    total = first.values.astype(np.float32)
    for layer in chosen[1:]:
        total += store.read(clip_id, layer).values
    return Features(total / np.float32(len(chosen)), first.rate_hz)


def pool_store(
    store: FeatureStore,
    clip_ids: Sequence[str],
    layer: str | None = None,
    *,
    pooling: Pooling = "statistics",
) -> Float32[np.ndarray, "clip pooled"]:
    """`pool` of every clip, in the order given; a store of one vector per clip gives [clip, dim] as it is.

    `layer` is one (9), a range whose mean is pooled (6-12), `all`, or None for the last that is stored.
    Raises InputError for clips without features, layers that are not stored and damaged shards.
    """
    first = _first_row(store, layer)
    whole_clip = first.rate_hz == 0
    width = first.dim if whole_clip or pooling == "mean" else first.dim * len(STATISTICS)
    pooled = np.empty((len(clip_ids), width), np.float32)
    for place, clip_id in enumerate(clip_ids):
        values = read_layers(store, clip_id, layer).values
        pooled[place] = values[0] if whole_clip else pool(values, pooling)
    return pooled


def _first_row(store: FeatureStore, layer: str | None) -> Row:
    if not store.clips:
        raise InputError(f"no clip in {store.folder} has features to pool")
    return store.row(store.clips[0], chosen_layers(layer, store.layers)[0])


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Stretches of clips as training items of their own."""

    values: Float32[np.ndarray, "item dim"]
    clips: Int[np.ndarray, "item"]
    """Place of each item's clip in the ids that were asked for; ascending."""


def items_of_store(
    store: FeatureStore, clip_ids: Sequence[str], layer: str | None = None, *, steps_per_item: int = 1
) -> Items:
    """Every stored time step as an item ("subsampled" training), or the means of stretches of steps.

    A last stretch that is shorter is the mean of what there is. `layer` as in `pool_store`. Raises InputError
    like it.
    """
    if steps_per_item < 1:
        raise InputError(f"steps_per_item must be at least 1, got {steps_per_item}")
    rows = [store.row(clip_id, chosen_layers(layer, store.layers)[0]) for clip_id in clip_ids]
    counts = [-(-row.num_frames // steps_per_item) for row in rows]
    values = np.empty((sum(counts), _first_row(store, layer).dim), np.float32)
    end = 0
    for clip_id, count in zip(clip_ids, counts, strict=True):
        stretches = read_layers(store, clip_id, layer).values
        values[end : end + count] = _means(stretches, steps_per_item)
        end += count
    return Items(values, np.repeat(np.arange(len(clip_ids)), counts))


def _means(values: Float[np.ndarray, "time dim"], steps: int) -> Float[np.ndarray, "item dim"]:
    if steps == 1:
        return values
    starts = np.arange(0, len(values), steps)
    lengths = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values.astype(np.float64), starts, axis=0) / lengths[:, None]
