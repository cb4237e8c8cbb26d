"""Pooling against numpy's own mean, standard deviation and percentiles."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blended.data import Features, InputError
from blended.data.store import FeatureStore, Identity, StoreWriter, write_shard
from blended.encoders.pooling import pool, pool_store, pooled_columns


def plain(values: np.ndarray) -> np.ndarray:
    """The official baseline's aggregation, written out."""
    wide = values.astype(np.float64)
    parts = [
        wide.mean(axis=0),
        wide.std(axis=0),
        *(np.percentile(wide, q, axis=0) for q in (10, 25, 50, 75, 90)),
    ]
    return np.concatenate(parts)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([np.float16, np.float32]).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            st.tuples(st.integers(1, 40), st.integers(1, 6)),
            elements=st.floats(-100, 100, width=16 if dtype == np.float16 else 32),
        )
    )
)
def test_against_numpy(values: np.ndarray):
    np.testing.assert_allclose(pool(values), plain(values), rtol=1e-6, atol=1e-5)


def test_one_step_has_no_deviation_and_no_nan():
    pooled = pool(np.array([[3.0, -4.0]], np.float32))
    assert pooled.tolist() == [3, -4, 0, 0, *([3, -4] * 5)]


def test_columns_are_in_the_order_of_the_values():
    names = pooled_columns(["a", "b"])
    values = pool(np.array([[0.0, 1.0], [10.0, 1.0]]))
    assert dict(zip(names, values.tolist(), strict=True))["p75_a"] == 7.5
    assert names[:4] == ("mean_a", "mean_b", "std_a", "std_b") and len(names) == 14


def store(folder: Path, rate_hz: float, failures: dict[str, str] | None = None) -> FeatureStore:
    identity = Identity('{"name": "toy"}', "none", "c", "0")
    clips = ["a", "b", "c"]
    writer = StoreWriter(folder, identity, clips, max_failures=3, log=lambda _: None)
    rng = np.random.default_rng(0)
    steps = [1, 1, 1] if rate_hz == 0 else [5, 1, 9]
    encoded = {
        clip: {"output": Features(rng.normal(size=(n, 3)), rate_hz)}
        for clip, n in zip(clips, steps, strict=True)
        if clip not in (failures or {})
    }
    write_shard(writer.plan[0].path, identity, clips, encoded, failures or {})
    writer.finish()
    return FeatureStore(folder)


def test_a_store_is_pooled_in_the_order_of_the_ids(tmp_path: Path):
    features = store(tmp_path / "toy", 10.0)
    pooled = pool_store(features, ["c", "a"])
    assert pooled.shape == (2, 21) and pooled.dtype == np.float32
    np.testing.assert_allclose(pooled[0], plain(features.read("c").values), rtol=1e-6, atol=1e-6)
    assert pool_store(features, []).shape == (0, 21)


def test_one_vector_per_clip_is_left_as_it_is(tmp_path: Path):
    features = store(tmp_path / "toy", 0.0)
    np.testing.assert_array_equal(pool_store(features, ["b"])[0], features.read("b").values[0])


def test_a_clip_without_features_is_named(tmp_path: Path):
    features = store(tmp_path / "toy", 10.0, {"b": "it is cut off"})
    with pytest.raises(InputError, match=r"clip 'b' has no features .* it is cut off"):
        pool_store(features, ["a", "b"])
