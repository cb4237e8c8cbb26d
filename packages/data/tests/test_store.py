"""The feature store: round trip, identity, damage, failures, kill -9 and two writers at once."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from blended.data import Features, InputError
from blended.data.store import FeatureStore, Identity, StoreWriter, locked, read_record, write_shard

IDENTITY = Identity('{"name": "toy", "num_bins": 4}', "none", "corpus-1", "0.1.0")
CLIPS = tuple(f"clip{number:02d}" for number in range(10))


def toy_features(clip: str) -> Mapping[str, Features]:
    """Two layers whose values and lengths differ by clip."""
    seed = int(clip.removeprefix("clip"))
    rng = np.random.default_rng(seed)
    return {
        "low": Features(rng.normal(size=(3 + seed, 4)).astype(np.float32), 12.5),
        "high": Features(rng.normal(size=(1, 4)).astype(np.float32), 0.0),
    }


def fill(
    folder: Path,
    identity: Identity = IDENTITY,
    *,
    failures: Mapping[str, str] | None = None,
    clips: Iterable[str] = CLIPS,
    max_failures: int = 0,
    pause_seconds: float = 0.0,
    log: list[str] | None = None,
) -> list[str]:
    """Extracts toy features with shards of four clips; returns the names of the shards that it wrote."""
    messages = [] if log is None else log
    reasons = failures or {}
    written: list[str] = []
    with locked([folder], messages.append):
        writer = StoreWriter(
            folder, identity, [*clips], shard_size=4, max_failures=max_failures, log=messages.append
        )
        for shard in writer.pending():
            time.sleep(pause_seconds)
            encoded = {clip: toy_features(clip) for clip in shard.clips if clip not in reasons}
            failed = {clip: reasons[clip] for clip in shard.clips if clip in reasons}
            write_shard(shard.path, identity, shard.clips, encoded, failed)
            written.append(shard.path.name)
        writer.finish()
    return written


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_round_trip_in_half_precision(tmp_path: Path):
    fill(tmp_path / "toy", clips=reversed(CLIPS))
    store = FeatureStore(tmp_path / "toy", IDENTITY)
    assert store.clips == CLIPS and len(store) == 10
    assert store.layers == ("low", "high")
    assert store.identity == IDENTITY and not store.failures
    for clip in CLIPS:
        low, high = store.read(clip, "low"), store.read(clip)
        assert low.values.dtype == np.float16 and low.rate_hz == 12.5 and high.rate_hz == 0
        np.testing.assert_array_equal(low.values, toy_features(clip)["low"].values.astype(np.float16))
        np.testing.assert_array_equal(high.values, toy_features(clip)["high"].values.astype(np.float16))
    store.verify()


def test_the_index_is_plain_parquet_and_the_shards_plain_safetensors(tmp_path: Path):
    from safetensors.numpy import load_file

    fill(tmp_path / "toy")
    index = pl.read_parquet(tmp_path / "toy" / "index.parquet")
    names = ["clip", "layer", "shard", "num_frames", "dim", "rate_hz", "dtype", "checksum"]
    assert index.columns == names and index.height == 20
    row = index.row(by_predicate=(pl.col("clip") == "clip05") & (pl.col("layer") == "low"), named=True)
    tensors = load_file(tmp_path / "toy" / row["shard"])
    assert tensors["clip05/low"].shape == (row["num_frames"], row["dim"]) == (8, 4)
    metadata = pq.read_schema(tmp_path / "toy" / "index.parquet").metadata
    assert json.loads(metadata[b"identity"])["corpus"] == "corpus-1"


def test_a_store_travels_to_another_process(tmp_path: Path):
    fill(tmp_path / "toy")
    store = FeatureStore(tmp_path / "toy")
    store.read("clip01")
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy.read("clip01").values, store.read("clip01").values)


def test_a_second_run_writes_nothing(tmp_path: Path):
    assert len(fill(tmp_path / "toy")) == 3
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "toy").iterdir()}
    assert fill(tmp_path / "toy") == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "toy").iterdir()} == before


OTHERS = [
    (
        Identity('{"name": "toy", "num_bins": 8}', "none", "corpus-1", "0.1.0"),
        "encoder num_bins is 4, expected 8",
    ),
    (
        Identity('{"name": "toy", "num_bins": 4}', "random", "corpus-1", "0.1.0"),
        "weights is 'none', expected 'random'",
    ),
    (
        Identity('{"name": "toy", "num_bins": 4}', "none", "corpus-2", "0.1.0"),
        "corpus is 'corpus-1', expected 'corpus-2'",
    ),
    (
        Identity('{"name": "toy", "num_bins": 4}', "none", "corpus-1", "0.2.0"),
        "version is '0.1.0', expected '0.2.0'",
    ),
]


@pytest.mark.parametrize(("other", "sentence"), OTHERS)
def test_a_reader_refuses_another_identity_and_a_writer_starts_anew(
    tmp_path: Path, other: Identity, sentence: str
):
    fill(tmp_path / "toy")
    opened_before = FeatureStore(tmp_path / "toy")
    with pytest.raises(InputError, match=f"were made otherwise: {sentence}; run the extraction again"):
        FeatureStore(tmp_path / "toy", other)
    messages: list[str] = []
    assert len(fill(tmp_path / "toy", other, log=messages)) == 3
    assert "3 shards are computed again" in messages[0] and sentence in messages[0]
    FeatureStore(tmp_path / "toy", other).verify()
    with pytest.raises(InputError, match="was replaced while the store was open"):
        opened_before.read("clip00")


def test_other_clips_or_another_slicing_are_not_mixed(tmp_path: Path):
    fill(tmp_path / "toy", clips=CLIPS[:8])
    assert fill(tmp_path / "toy", clips=CLIPS) == ["shard-00002.safetensors"]
    assert fill(tmp_path / "toy", clips=CLIPS[1:6]) == ["shard-00000.safetensors", "shard-00001.safetensors"]
    assert FeatureStore(tmp_path / "toy").clips == CLIPS[1:6]
    assert not (tmp_path / "toy" / "shard-00002.safetensors").exists()


def test_an_unfinished_store_says_how_to_go_on(tmp_path: Path):
    with pytest.raises(InputError, match="toy is empty or does not exist: run the extraction"):
        FeatureStore(tmp_path / "toy")
    fill(tmp_path / "toy")
    (tmp_path / "toy" / "index.parquet").unlink()
    with pytest.raises(InputError, match=r"toy is unfinished \(3 shards, no index\)"):
        FeatureStore(tmp_path / "toy")
    assert fill(tmp_path / "toy") == []  # Only the index was missing.
    FeatureStore(tmp_path / "toy").verify()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x10
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"clip04/low": np.zeros((7, 4), np.float16)}, path)


@pytest.mark.parametrize("damage", [_truncate, _cut_header, _flip, _foreign, Path.unlink])
def test_damage_is_named_and_repaired(tmp_path: Path, damage: Callable[[Path], None]):
    fill(tmp_path / "toy")
    before = contents(tmp_path / "toy")
    shard = tmp_path / "toy" / "shard-00001.safetensors"
    damage(shard)
    store = FeatureStore(tmp_path / "toy")
    store.read("clip00")  # Other shards are as good as before.
    with pytest.raises(
        InputError, match=r"shard-00001\.safetensors is (damaged|missing).*run the extraction"
    ):
        store.verify()
    with pytest.raises(InputError, match=r"shard-00001\.safetensors"):
        for clip in CLIPS:
            store.read(clip, "low")
            store.read(clip, "high")
    shard.unlink(missing_ok=True)  # What the message says, though most damage is found without.
    assert fill(tmp_path / "toy") == ["shard-00001.safetensors"]
    assert contents(tmp_path / "toy") == before


def test_a_writer_finds_a_cut_shard_by_itself(tmp_path: Path):
    fill(tmp_path / "toy")
    before = contents(tmp_path / "toy")
    _truncate(tmp_path / "toy" / "shard-00002.safetensors")
    assert fill(tmp_path / "toy") == ["shard-00002.safetensors"]
    assert contents(tmp_path / "toy") == before


def test_a_damaged_index_is_named(tmp_path: Path):
    fill(tmp_path / "toy")
    (tmp_path / "toy" / "index.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match=r"index\.parquet is damaged .*run the extraction again, which"):
        FeatureStore(tmp_path / "toy")


def test_one_flipped_bit_anywhere_is_found_by_readers_and_writers(tmp_path: Path):
    fill(tmp_path / "toy")
    before = contents(tmp_path / "toy")
    for name, written in (("index.parquet", []), ("shard-00001.safetensors", ["shard-00001.safetensors"])):
        path = tmp_path / "toy" / name
        whole = path.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            if name == "index.parquet":
                with pytest.raises(InputError, match=r"index\.parquet is damaged"):
                    FeatureStore(tmp_path / "toy")
            assert fill(tmp_path / "toy") == written, (name, place)
            assert contents(tmp_path / "toy") == before


def test_wrong_names_are_answered(tmp_path: Path):
    fill(tmp_path / "toy")
    store = FeatureStore(tmp_path / "toy")
    with pytest.raises(InputError, match=r"clip 'clip0x' is not among the 10 .*did you mean 'clip0\d'"):
        store.read("clip0x")
    with pytest.raises(InputError, match="unknown layer 'lowe': did you mean 'low'"):
        store.read("clip01", "lowe")


def test_too_many_failures_leave_the_store_unfinished_and_are_tried_again(tmp_path: Path):
    reasons = {"clip05": "it is cut off"}
    assert len(fill(tmp_path / "toy", failures=reasons)) == 3
    with pytest.raises(InputError, match="unfinished"):
        FeatureStore(tmp_path / "toy")
    assert fill(tmp_path / "toy") == ["shard-00001.safetensors"]  # Repaired meanwhile.
    assert len(FeatureStore(tmp_path / "toy")) == 10


def test_allowed_failures_are_kept_with_their_reason(tmp_path: Path):
    reasons = {"clip05": "it is cut off"}
    fill(tmp_path / "toy", failures=reasons, max_failures=1)
    store = FeatureStore(tmp_path / "toy")
    assert store.failures == reasons and len(store) == 9
    with pytest.raises(InputError, match=r"clip 'clip05' has no features in .*: it is cut off"):
        store.read("clip05")
    assert fill(tmp_path / "toy", failures=reasons, max_failures=1) == []
    # With none allowed any more, the same clip is tried again.
    assert fill(tmp_path / "toy", failures=reasons) == ["shard-00001.safetensors"]
    with pytest.raises(InputError, match="unfinished"):
        FeatureStore(tmp_path / "toy")


def test_half_precision_refuses_what_it_cannot_hold(tmp_path: Path):
    encoded = {"a": {"low": Features(np.full((2, 2), 7e4, np.float32), 1.0)}}
    sentence = "toy, clip 'a', layer 'low': 70000 is beyond the range of float16 .*must say dtype \"float32\""
    with pytest.raises(InputError, match=sentence):
        write_shard(tmp_path / "s.safetensors", IDENTITY, ["a"], encoded, {})
    assert not [*tmp_path.iterdir()]
    write_shard(tmp_path / "s.safetensors", IDENTITY, ["a"], encoded, {}, "float32")
    assert read_record(tmp_path / "s.safetensors").rows[0].dtype == "float32"


def test_every_clip_needs_features_or_a_reason(tmp_path: Path):
    with pytest.raises(InputError, match="either features or a reason"):
        write_shard(tmp_path / "s.safetensors", IDENTITY, ["a"], {}, {})


def _start(folder: Path, pause_seconds: float) -> subprocess.Popen[bytes]:
    """`fill` in a process of its own."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from pathlib import Path; "
        f"import test_store; test_store.fill(Path({str(folder)!r}), pause_seconds={pause_seconds})"
    )
    return subprocess.Popen([sys.executable, "-c", code])


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, f"the process ended before it wrote {path.name}"
        time.sleep(0.005)


def test_kill_9_then_a_rerun_gives_the_same_bytes(tmp_path: Path):
    fill(tmp_path / "undisturbed")
    process = _start(tmp_path / "killed", 0.3)
    _wait_for(tmp_path / "killed" / "shard-00000.safetensors", process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # A kill within the writing of a shard leaves its temporary file, too.
    (tmp_path / "killed" / ".shard-00001.abc.tmp.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match="unfinished"):
        FeatureStore(tmp_path / "killed")
    assert fill(tmp_path / "killed") == ["shard-00001.safetensors", "shard-00002.safetensors"]
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


def test_of_two_writers_one_waits_and_finds_all_done(tmp_path: Path):
    fill(tmp_path / "undisturbed")
    process = _start(tmp_path / "shared", 0.1)
    _wait_for(tmp_path / "shared" / "shard-00000.safetensors", process)
    messages: list[str] = []
    assert fill(tmp_path / "shared", log=messages) == []
    assert process.wait() == 0
    assert "another process is writing this store; waiting for it" in messages[0]
    assert contents(tmp_path / "shared") == contents(tmp_path / "undisturbed")
