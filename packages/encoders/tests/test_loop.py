"""The loop around networks: which clips share a batch, what overlaps, what full devices and bad clips do."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict

from blended.data import Clip, Features, InputError
from blended.data.media import Waveform
from blended.data.store import FeatureStore
from blended.encoders import AudioStream, extract
from blended.encoders.device import (
    DeviceMemoryError,
    compile_network,
    encoding_on,
    to_device,
    utilisation_percent,
)
from blended.encoders.encoder import RANDOM, DType, Encoded, Modality
from blended.encoders.shards import ahead, built_encoder, by_length
from toys.clips import write_clip

TENTHS = (9, 3, 7, 1, 8, 2, 6, 4, 5)
"""Lengths of the clips in tenths of a second, in the order of their names."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("media")
    paths = [write_clip(folder / f"clip{n}.wav", seconds=t / 10) for n, t in enumerate(TENTHS)]
    return [Clip(path.stem, path, "A1", fold=0) for path in paths]


@dataclass(frozen=True)
class Net:
    """A tiny network over time; what it is given and when is written down."""

    network: torch.nn.Module
    batches: list[list[int]]
    batch_size: int
    limit: int
    stream: AudioStream = field(default_factory=partial(AudioStream, 8000))
    layers: tuple[str, ...] = ("output",)
    dim: int = 4
    rate_hz: float = 0.0
    dtype: DType = "float32"

    def encode(self, inputs: Sequence[Waveform]) -> list[Encoded]:
        lengths = [len(item.values) for item in inputs]
        self.batches.append([length // 800 for length in lengths])
        if sum(lengths) > self.limit:
            raise torch.OutOfMemoryError("the fake device is full\nsecond line")
        if 8000 * 4 // 10 in lengths:
            raise InputError("no clip of four tenths can be encoded")
        padded = torch.zeros(len(inputs), 1, max(lengths))
        for row, item in zip(padded, inputs, strict=True):
            row[0, : len(item.values)] = torch.from_numpy(item.values)
        values = self.network(padded).mean(dim=2).detach().numpy()
        return [{"output": Features(row[None], 0.0)} for row in values]


BATCHES: list[list[int]] = []


class NetConfig(BaseModel):
    """Its encoders write into one list."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "none"
    name: str = "net"
    batch_size: int = 3
    limit: int = 10**9

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> Net:
        torch.manual_seed(0)
        return Net(torch.nn.Conv1d(1, 4, 9, stride=5), BATCHES, self.batch_size, self.limit)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    BATCHES.clear()
    built_encoder.cache_clear()
    yield
    built_encoder.cache_clear()


def run(clips: Sequence[Clip], root: Path, config: NetConfig | None = None, **more: Any) -> dict[str, bytes]:
    ignore: Callable[..., None] = lambda *_: None  # noqa: E731
    arguments: dict[str, Any] = {"corpus_hash": "toy", "log": ignore, "progress": ignore, "max_failures": 1}
    extract(clips, [config or NetConfig()], root, **(arguments | more))
    return {path.name: path.read_bytes() for path in sorted((root / "net").iterdir())}


def test_clips_of_one_length_share_a_batch(clips: list[Clip], tmp_path: Path) -> None:
    run(clips, tmp_path)
    # The batch with the clip of 4 fails, and is encoded again clip by clip.
    assert BATCHES == [[1, 2, 3], [4, 5, 6], [4], [5], [6], [7, 8, 9]]


def test_the_plan_is_that_of_the_shard(clips: list[Clip], tmp_path: Path) -> None:
    run([*reversed(clips)], tmp_path, shard_size=5)
    assert BATCHES == [[1, 3, 7], [8, 9], [2, 4, 5], [2], [4], [5], [6]]


def test_only_the_clip_to_blame_fails(clips: list[Clip], tmp_path: Path) -> None:
    run(clips, tmp_path)
    store = FeatureStore(tmp_path / "net")
    assert store.failures == {"clip7": "net: no clip of four tenths can be encoded"}
    assert len(store.clips) == len(TENTHS) - 1
    with pytest.raises(InputError, match="1 clips could not be encoded with net and at most 0 may fail"):
        run(clips, tmp_path / "strict", max_failures=0)


def test_neither_threads_nor_pieces_change_a_byte(clips: list[Clip], tmp_path: Path) -> None:
    in_line = run(clips, tmp_path / "a", shard_size=4)
    pipelined = run(clips, tmp_path / "b", shard_size=4, workers=3, device="meta")
    assert pipelined == in_line
    shard = sorted((tmp_path / "b" / "net").glob("*.safetensors"))[1]
    shard.unlink()
    assert run(clips, tmp_path / "b", shard_size=4) == in_line


def test_clips_that_cannot_be_opened_come_last(clips: list[Clip], tmp_path: Path) -> None:
    broken = Clip("a", tmp_path / "missing.wav", "A1", fold=0)
    assert [clip.id for clip in by_length([broken, *clips])] == [
        *[f"clip{n}" for n in np.argsort(TENTHS)],
        "a",
    ]


def test_a_full_device_ends_the_run_and_keeps_what_is_finished(clips: list[Clip], tmp_path: Path) -> None:
    config = NetConfig(limit=8000 * 115 // 100)
    with pytest.raises(InputError, match=r"does not fit into the device's memory \(cpu: the fake device is"):
        run(clips, tmp_path, config, shard_size=4)
    assert [path.name for path in (tmp_path / "net").iterdir()] == ["shard-00000.safetensors"]
    with pytest.raises(DeviceMemoryError, match=r"^meta: full$"), encoding_on("meta"):
        raise torch.OutOfMemoryError("full")


def test_decoding_goes_on_into_the_next_shard(clips: list[Clip], tmp_path: Path) -> None:
    """While a batch of the first shard is encoded, clips of the second are read."""
    read: list[str] = []
    at_first_batch: list[int] = []
    plenty = threading.Event()

    @dataclass(frozen=True)
    class Watched(AudioStream):
        def read(self, path: Path) -> Waveform:
            read.append(path.stem)
            if len(read) >= 7:
                plenty.set()
            return AudioStream(8000).read(path)

    class Slow(Net):
        def encode(self, inputs: Sequence[Waveform]) -> list[Encoded]:
            plenty.wait(timeout=10)
            at_first_batch.append(len(read))
            return super().encode(inputs)

    class SlowConfig(NetConfig):
        def build(self, *, device: str = "cpu", weights: Path | None = None) -> Net:
            return Slow(torch.nn.Conv1d(1, 4, 9, stride=5), [], 3, 10**9, stream=Watched(8000))

    run(clips, tmp_path, SlowConfig(), shard_size=4, workers=4, device="meta")
    assert at_first_batch[0] >= 7 and sorted(read) == sorted(clip.id for clip in clips)


def test_an_error_does_not_wait_for_work_that_nobody_wants() -> None:
    done: list[int] = []
    release = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            raise ZeroDivisionError
        release.wait(timeout=10)
        done.append(item)
        return item

    with pytest.raises(ZeroDivisionError):
        [*ahead(work, range(100), 2, waiting=50)]
    release.set()
    assert len(done) < 10


def test_a_cpu_needs_neither_pinning_nor_compilation() -> None:
    values = torch.arange(4)
    assert to_device(values, "cpu") is values
    assert to_device(values, "meta").device.type == "meta"
    assert utilisation_percent("cpu") is None
    encoder = NetConfig().build()
    assert not compile_network(encoder, "cpu")
    assert not compile_network(object(), "cuda")


def test_compilation_is_asked_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _self, **how: asked.append(how))
    built_encoder(NetConfig(), "meta", None, compiled=True)
    built_encoder(NetConfig(), "meta", None)
    assert asked == [{"dynamic": True}]


class TrainedConfig(NetConfig):
    """Of weights that may not fit."""

    weighted: ClassVar[bool] = True

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> Net:
        if weights is not None and weights != RANDOM and weights.read_text() != "fits":
            raise InputError(f"{weights} holds other parameters")
        return super().build()


def test_weights_that_do_not_fit_cost_no_features(clips: list[Clip], tmp_path: Path) -> None:
    before = run(clips, tmp_path, TrainedConfig(), weights={"net": RANDOM})
    file = tmp_path / "weights"
    file.write_text("does not fit")
    with pytest.raises(InputError, match="holds other parameters"):
        run(clips, tmp_path, TrainedConfig(), weights={"net": file})
    assert {path.name: path.read_bytes() for path in sorted((tmp_path / "net").iterdir())} == before
    file.write_text("fits")
    assert run(clips, tmp_path, TrainedConfig(), weights={"net": file}) != before
