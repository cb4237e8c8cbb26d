"""The extraction loop on real toy clips: what is decoded, written, repeated, survived and refused."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from blended.data import Clip, Features, InputError
from blended.data.media import Waveform
from blended.data.store import FeatureStore
from blended.encoders import AudioStream, Summary, encoder_config, extract, identity_of, pool_store
from blended.encoders.encoder import DType, Encoded, Modality
from blended.encoders.shards import Job, Task, ahead, built_encoder, run_job, run_jobs
from toys.clips import write_clip

NAMES = ("motion", "face", "prosody")
NUM_CLIPS = 10


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Ten clips of half a second whose pitch tells their number, not in the order of their names."""
    folder = tmp_path_factory.mktemp("media")
    numbers = [*range(NUM_CLIPS)][::-1]
    return [
        Clip(f"clip{n}", write_clip(folder / f"clip{n}.mp4", seconds=0.5, tone_hz=200 + 20 * n), "A1", fold=0)
        for n in numbers
    ]


def _ignore(*_: object) -> None:
    """Neither logs nor shows progress."""


def run(clips: Sequence[Clip], root: Path, names: Sequence[str] = NAMES, **more: Any) -> Summary:
    arguments: dict[str, Any] = {"corpus_hash": "toy", "shard_size": 4}
    arguments |= {"log": _ignore, "progress": _ignore}
    return extract(clips, [encoder_config(name) for name in names], root, **(arguments | more))


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def undisturbed(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    run(clips, root)
    return root


def test_features_are_those_of_the_clip(clips: list[Clip], undisturbed: Path):
    store = FeatureStore(undisturbed / "prosody", identity_of(encoder_config("prosody"), "toy"))
    assert store.clips == tuple(f"clip{n}" for n in range(NUM_CLIPS))
    pooled = pool_store(store, store.clips)
    median_semitones = pooled[:, 4 * 10]
    expected = 12 * np.log2((200 + 20 * np.arange(NUM_CLIPS)) / 27.5)
    np.testing.assert_allclose(median_semitones, expected, atol=0.1)
    assert FeatureStore(undisturbed / "motion").read("clip3").values.any()


def test_progress_counts_clips_and_a_second_run_does_nothing(clips: list[Clip], tmp_path: Path):
    calls: list[tuple[int, int]] = []
    summary = run(clips, tmp_path, ["motion"], progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 10), (4, 10), (8, 10), (10, 10)]
    assert (summary.num_clips, summary.num_computed, dict(summary.failures)) == (10, 10, {})
    assert summary.stores == {"motion": tmp_path / "motion"}
    before = contents(tmp_path)
    calls.clear()
    started = time.perf_counter()
    again = run(clips, tmp_path, ["motion"], progress=lambda done, total: calls.append((done, total)))
    assert time.perf_counter() - started < 1
    assert calls == [(0, 0)] and again.num_computed == 0 and contents(tmp_path) == before


def test_workers_do_not_change_a_byte(clips: list[Clip], undisturbed: Path, tmp_path: Path):
    run(clips, tmp_path, workers=2)
    assert contents(tmp_path) == contents(undisturbed)


def test_decoding_ahead_for_another_device_does_not_change_a_byte(
    clips: list[Clip], undisturbed: Path, tmp_path: Path
):
    # These encoders compute on the CPU whatever they are told.
    run(clips, tmp_path, workers=3, device="meta")
    assert contents(tmp_path) == contents(undisturbed)


def test_encoders_together_or_apart_give_the_same_bytes(clips: list[Clip], undisturbed: Path, tmp_path: Path):
    for name in reversed(NAMES):
        run(clips, tmp_path, [name])
    assert contents(tmp_path) == contents(undisturbed)


def test_the_same_stream_is_decoded_once(clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from blended.encoders import encoder

    decoded: list[tuple[str, Any]] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def count(path: Path, *args: Any, **more: Any) -> Any:
            decoded.append((path.stem, args))
            return function(path, *args, **more)

        return count

    monkeypatch.setattr(encoder, "read_audio", counted(encoder.read_audio))
    monkeypatch.setattr(encoder, "read_frames", counted(encoder.read_frames))
    run(clips, tmp_path, ["motion", "face", "prosody", "logmel"])
    assert len(decoded) == len({*decoded}) == 2 * NUM_CLIPS


@pytest.fixture
def with_broken(clips: list[Clip], tmp_path: Path) -> list[Clip]:
    """One clip cut off, one without sound."""
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clips[0].path.read_bytes()[:2000])
    mute = write_clip(tmp_path / "mute.mp4", seconds=0.5, with_audio=False)
    return [*clips, Clip("cut", cut, "A1", fold=0), Clip("mute", mute, "A1", fold=0)]


def test_unreadable_clips_are_listed_at_the_end(with_broken: list[Clip], tmp_path: Path):
    root = tmp_path / "features"
    with pytest.raises(InputError) as caught:
        run(with_broken, root)
    message = str(caught.value)
    assert "2 clips could not be encoded with motion, face, prosody and at most 0 may fail" in message
    assert "cut: " in message and "mute: " in message and "no audio track" in message
    # The others are on disk: with failures allowed only what failed is tried again.
    with pytest.raises(InputError, match="unfinished"):
        FeatureStore(root / "prosody")
    summary = run(with_broken, root, max_failures=2)
    assert summary.failures.keys() == {"cut", "mute"} and summary.num_computed == 0
    assert FeatureStore(root / "prosody").failures.keys() == {"cut", "mute"}
    assert FeatureStore(root / "motion").failures.keys() == {"cut"}
    assert "mute" in FeatureStore(root / "motion").clips


def test_a_repaired_clip_is_taken_in(with_broken: list[Clip], clips: list[Clip], tmp_path: Path):
    root = tmp_path / "features"
    with pytest.raises(InputError, match="1 clips could not be encoded with motion"):
        run(with_broken, root, ["motion"])
    with_broken[-2].path.write_bytes(clips[0].path.read_bytes())
    summary = run(with_broken, root, ["motion"])
    assert not summary.failures and summary.num_computed == 4
    assert len(FeatureStore(root / "motion")) == NUM_CLIPS + 2


def test_failures_are_allowed_per_store(with_broken: list[Clip], tmp_path: Path):
    with pytest.raises(InputError, match="2 clips could not be encoded with prosody and at most 1"):
        run(with_broken, tmp_path / "features", max_failures=1)
    assert FeatureStore(tmp_path / "features" / "face").failures.keys() == {"cut"}


def test_two_configs_of_one_name_are_refused(clips: list[Clip], tmp_path: Path):
    with pytest.raises(InputError, match="two encoders have one name: motion, motion"):
        run(clips, tmp_path, ["motion", "motion"])


# Sleeps when the first shard is done, so that the kill falls between shards: in this process for one
# worker, while its workers wait for more to do for two.
SCRIPT = """
import sys, time
from pathlib import Path
from blended.data import Clip
from blended.encoders import encoder_config, extract
root, media, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
clips = [Clip(path.stem, path, "A1", fold=0) for path in sorted(media.glob("*.mp4"))]
configs = [encoder_config(name) for name in ("motion", "face", "prosody")]
extract(clips, configs, root, corpus_hash="toy", log=lambda _: None,
        progress=lambda done, total: time.sleep(60 if done else 0), workers=workers, shard_size=4)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_then_a_rerun_gives_the_same_bytes(
    clips: list[Clip], undisturbed: Path, tmp_path: Path, workers: int
):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(clips[0].path.parent), str(workers)]
    process = subprocess.Popen(command)
    while not [*tmp_path.glob("prosody/shard-*.safetensors")]:
        assert process.poll() is None, "the process ended before it wrote a shard"
        time.sleep(0.005)
    children = _children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert bool(children) == (workers > 1)
    _wait_for_the_end_of(children)
    assert not [*tmp_path.glob("*/index.parquet")]
    run(clips, tmp_path)
    assert contents(tmp_path) == contents(undisturbed)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _wait_for_the_end_of(pids: list[int]) -> None:
    """Workers of a killed run end by themselves."""
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, f"workers {pids} outlived their parent"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass(frozen=True)
class BatchEncoder:
    """Notes how many clips it is given at once."""

    seen: list[int]
    stream: AudioStream = field(default_factory=AudioStream)
    layers: tuple[str, ...] = ("output",)
    dim: int = 1
    rate_hz: float = 0.0
    dtype: DType = "float32"
    batch_size: int = 3

    def encode(self, inputs: Sequence[Waveform]) -> list[Encoded]:
        self.seen.append(len(inputs))
        return [{"output": Features(np.ones((1, 1), np.float32), 0.0)} for _ in inputs]


@dataclass(frozen=True)
class BatchConfig:
    """Its encoders share one list."""

    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "none"
    name: str = "batches"
    seen: list[int] = field(default_factory=list[int], hash=False)

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> BatchEncoder:
        return BatchEncoder(self.seen)

    def model_dump_json(self) -> str:
        return '{"name": "batches"}'

    @classmethod
    def model_validate(cls, obj: Any) -> "BatchConfig":
        return cls()


@pytest.fixture
def batches() -> Iterator[BatchConfig]:
    yield BatchConfig()
    built_encoder.cache_clear()


@pytest.mark.parametrize("decoders", [0, 2])
def test_batches_are_slices_of_the_shard(
    batches: BatchConfig, with_broken: list[Clip], tmp_path: Path, decoders: int
):
    ordered = sorted(with_broken, key=lambda clip: clip.id)[:8]
    path = tmp_path / "store" / "shard-00000.safetensors"
    task = Task(batches, None, identity_of(batches, "toy"), path)
    assert [*run_jobs([Job(tuple(ordered), (task,), "cpu")], decoders)] == [8]
    assert batches.seen == [3, 3, 2]
    assert path.exists()


def test_failed_clips_do_not_move_the_batches(batches: BatchConfig, with_broken: list[Clip], tmp_path: Path):
    ordered = sorted(with_broken, key=lambda clip: clip.id)[-5:]  # clip7, clip8, clip9, cut, mute
    task = Task(batches, None, identity_of(batches, "toy"), tmp_path / "s.safetensors")
    run_job(Job((ordered[3], *ordered[:3], ordered[4]), (task,), "cpu"))
    assert batches.seen == [2, 1]


def test_decoding_ahead_keeps_the_order_and_bounds_what_waits():
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        return item * item

    results = ahead(work, range(20), 3)
    assert next(results) == 0
    time.sleep(0.05)
    assert max(started) <= 4
    assert [*results] == [n * n for n in range(1, 20)]
