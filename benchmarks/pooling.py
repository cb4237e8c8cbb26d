"""Pooling a feature store, against the official script: seven statistics per file.

The official side reads one `.npy` of float16 per clip, as the store keeps it, and makes mean, deviation and
five percentiles in float32 with seven calls of numpy; ours reads the same values from a store of 32 clips per
shard. Both begin with the files in the page cache and run on one thread. They must agree to 1e-6 of the
largest value, or the ratio is not printed. `python benchmarks/pooling.py 3000` is a corpus of the size of
BLEMORE: about 4 GB on disk and two minutes. The default is a tenth of that; the ratio does not depend on the
number of clips.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from blended.data import Features
from blended.data.store import FeatureStore, Identity, StoreWriter, write_shard
from blended.encoders.device import one_thread
from blended.encoders.pooling import PERCENTILES, items_of_store, pool_store

NUM_STEPS, DIM = 300, 1024


def write(folder: Path, num_clips: int) -> tuple[list[str], Path, Path]:
    """The same noise as a feature store and as one file per clip."""
    rng = np.random.default_rng(0)
    names = [f"clip{number:05d}" for number in range(num_clips)]
    identity = Identity('{"name": "noise"}', "none", "benchmark", "0")
    store, files = folder / "noise", folder / "npy"
    files.mkdir()
    writer = StoreWriter(store, identity, names, log=print)
    for shard in writer.plan:
        encoded: dict[str, dict[str, Features]] = {}
        for name in shard.clips:
            values = rng.standard_normal((NUM_STEPS, DIM), np.float32).astype(np.float16)
            np.save(files / f"{name}.npy", values)
            encoded[name] = {"output": Features(values, 50.0)}
        write_shard(shard.path, identity, shard.clips, encoded, {})
    writer.finish()
    return names, store, files


def official(files: Path, names: list[str]) -> np.ndarray:
    """One clip after the other, one statistic after the other."""
    rows: list[np.ndarray] = []
    for name in names:
        values = np.load(files / f"{name}.npy").astype(np.float32)
        parts = [np.mean(values, axis=0), np.std(values, axis=0)]
        parts += [np.percentile(values, q, axis=0) for q in PERCENTILES]
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def main() -> None:
    """Prints both times and their ratio."""
    num_clips = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as folder, one_thread():
        names, store, files = write(Path(folder), num_clips)
        started = time.perf_counter()
        theirs = official(files, names)
        plain_seconds = time.perf_counter() - started
        started = time.perf_counter()
        ours = pool_store(FeatureStore(store), names)
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        means = pool_store(FeatureStore(store), names, pooling="mean")
        mean_seconds = time.perf_counter() - started
        started = time.perf_counter()
        items = items_of_store(FeatureStore(store), names, steps_per_item=16)
        items_seconds = time.perf_counter() - started
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if difference > 1e-6:
        raise SystemExit(f"the two sides differ by {difference:.1e} of the largest value")
    print(
        f"{num_clips} clips x {NUM_STEPS} steps x {DIM} columns, one thread; "
        f"largest difference {difference:.1e}"
    )
    for what, took, shape in (
        ("official, per file", plain_seconds, theirs.shape),
        ("statistics", seconds, ours.shape),
        ("mean alone", mean_seconds, means.shape),
        ("items of 16 steps", items_seconds, items.values.shape),
    ):
        print(f"{what:20} {took:7.2f} s {num_clips / took:8.0f} clips/s  {list(shape)}")
    print(f"ratio {plain_seconds / seconds:.1f}")


if __name__ == "__main__":
    main()
