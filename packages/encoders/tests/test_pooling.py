"""Pooling against numpy's own mean, standard deviation and percentiles."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blended.data import Features, InputError
from blended.data.store import FeatureStore, Identity, StoreWriter, write_shard
from blended.encoders.pooling import items_of_store, pool, pool_store, pooled_columns


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


def layered(folder: Path) -> FeatureStore:
    """Two clips with layers 4, 5 and 6."""
    identity = Identity('{"name": "toy"}', "none", "c", "0")
    writer = StoreWriter(folder, identity, ["a", "b"], log=lambda _: None)
    rng = np.random.default_rng(0)
    encoded = {
        clip: {layer: Features(rng.normal(size=(steps, 3)), 10.0) for layer in ("4", "5", "6")}
        for clip, steps in (("a", 7), ("b", 4))
    }
    write_shard(writer.plan[0].path, identity, ["a", "b"], encoded, {})
    writer.finish()
    return FeatureStore(folder)


def test_layers_are_chosen_or_averaged_before_they_are_pooled(tmp_path: Path):
    features = layered(tmp_path / "toy")
    assert features.layers == ("4", "5", "6")
    by_hand = {layer: features.read("b", layer).values.astype(np.float64) for layer in features.layers}
    np.testing.assert_allclose(pool_store(features, ["b"], "5")[0], plain(by_hand["5"]), atol=1e-6)
    np.testing.assert_array_equal(pool_store(features, ["b"]), pool_store(features, ["b"], "6"))
    mean = (by_hand["4"] + by_hand["5"]) / 2
    np.testing.assert_allclose(pool_store(features, ["b"], "4-5")[0], plain(mean), atol=1e-6)
    every = sum(by_hand.values()) / 3
    np.testing.assert_allclose(pool_store(features, ["b"], "all")[0], plain(every), atol=1e-6)
    with pytest.raises(InputError, match="7 is not stored"):
        pool_store(features, ["a"], "6-7")


def test_the_mean_alone(tmp_path: Path):
    features = layered(tmp_path / "toy")
    pooled = pool_store(features, ["a", "b"], "4", pooling="mean")
    expected = [features.read(clip, "4").values.astype(np.float64).mean(axis=0) for clip in ("a", "b")]
    np.testing.assert_allclose(pooled, expected, atol=1e-6)
    assert pooled_columns(["x"], "mean") == ("mean_x",)


def test_time_steps_become_items_that_know_their_clip(tmp_path: Path):
    features = layered(tmp_path / "toy")
    items = items_of_store(features, ["b", "a"], "5")
    expected = np.concatenate([features.read(clip, "5").values for clip in ("b", "a")])
    np.testing.assert_array_equal(items.values, expected)
    assert items.clips.tolist() == [0] * 4 + [1] * 7
    stretches = items_of_store(features, ["b", "a"], "5", steps_per_item=3)
    assert stretches.clips.tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_allclose(stretches.values[1], expected[3], atol=1e-6)
    np.testing.assert_allclose(stretches.values[2], expected[4:7].astype(np.float64).mean(axis=0), atol=1e-6)
    with pytest.raises(InputError, match="at least 1, got 0"):
        items_of_store(features, ["a"], steps_per_item=0)
