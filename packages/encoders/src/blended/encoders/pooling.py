"""One vector per clip: the seven statistics over time of the official BLEMORE baseline."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

from blended.data.errors import InputError
from blended.data.store import FeatureStore

PERCENTILES = (10, 25, 50, 75, 90)
STATISTICS = ("mean", "std", "p10", "p25", "p50", "p75", "p90")


def pool(values: Float[np.ndarray, "time dim"]) -> Float32[np.ndarray, "pooled"]:
    """[7 * dim]: all means, then all standard deviations (population), then each percentile.

    Percentiles are interpolated linearly, as `numpy.percentile` does, but from one sort for all five. One
    time step gives a deviation of 0 and itself as every percentile. Source: `blemore-common`, aggregation.

    >>> pool(np.array([[0.0], [10.0]]))
    array([5. , 5. , 1. , 2.5, 5. , 7.5, 9. ], dtype=float32)
    """
    # One row per column of the input: sorting along contiguous memory is several times faster.
    ordered = np.sort(np.ascontiguousarray(values.T, dtype=np.float32), axis=1)
    exact = ordered.astype(np.float64)
    places = np.array(PERCENTILES) / 100 * (exact.shape[1] - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, exact.shape[1] - 1)
    percentiles = exact[:, below] + (exact[:, above] - exact[:, below]) * (places - below)
    moments = np.stack([exact.mean(axis=1), exact.std(axis=1)])
    return np.concatenate([moments.ravel(), percentiles.T.ravel()]).astype(np.float32)


def pooled_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Names for what `pool` returns.

    >>> pooled_columns(["f0", "energy"])[:3]
    ('mean_f0', 'mean_energy', 'std_f0')
    """
    return tuple(f"{statistic}_{column}" for statistic in STATISTICS for column in columns)


def pool_store(
    store: FeatureStore, clip_ids: Sequence[str], layer: str | None = None
) -> Float32[np.ndarray, "clip pooled"]:
    """`pool` of every clip, in the order given; a store of one vector per clip gives [clip, dim] as it is.

    Raises InputError for clips without features and for damaged shards.
    """
    if not store.clips:
        raise InputError(f"no clip in {store.folder} has features to pool")
    first = store.row(store.clips[0], layer)
    whole_clip = first.rate_hz == 0
    pooled = np.empty((len(clip_ids), first.dim * (1 if whole_clip else len(STATISTICS))), np.float32)
    for place, clip_id in enumerate(clip_ids):
        values = store.read(clip_id, layer).values
        pooled[place] = values[0] if whole_clip else pool(values)
    return pooled
