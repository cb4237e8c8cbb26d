"""The loop on a cluster of two nodes, one of which is killed: the same bytes as in one process."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from blended.data import Clip, InputError
from blended.data.media import Waveform
from blended.data.store import FeatureStore
from blended.encoders import AudioStream, encoder_config, extract
from blended.encoders.encoder import ClipEncoder, Modality
from blended.studies.ray_extraction import on_ray
from toys.clips import write_clip

# One cluster at a time: two of them on one machine end each other's processes.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("only_ray")]

NAMES = ("motion", "prosody")
SHARD_SIZE = 2
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU on this machine; the driver has joined."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    nodes.add_node(**NODE)
    ray.init(nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("media")
    paths = [
        write_clip(folder / f"clip{n:02d}.mp4", seconds=1.0, size=(128, 128), tone_hz=200 + 20 * n)
        for n in range(24)
    ]
    return [Clip(path.stem, path, "A1", fold=0) for path in paths]


def run(clips: list[Clip], root: Path, **more: Any) -> list[str]:
    said: list[str] = []
    configs = [encoder_config(name) for name in NAMES]
    arguments: dict[str, Any] = {"corpus_hash": "toy", "shard_size": SHARD_SIZE, "log": said.append}
    extract(clips, configs, root, **(arguments | {"progress": lambda *_: None} | more))
    return said


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def alone(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process without Ray writes."""
    root = tmp_path_factory.mktemp("alone")
    run(clips, root)
    return contents(root)


def test_a_bug_of_ours_is_not_taken_for_a_lost_node(cluster: Any, clips: list[Clip], tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(ZeroDivisionError):
        extract(
            clips[:2],
            [BrokenConfig()],
            tmp_path,
            corpus_hash="toy",
            log=said.append,
            progress=lambda *_: None,
            engine=on_ray(None, "cpu", said.append),
        )
    assert not any("lost" in line for line in said)


class BrokenConfig(BaseModel):
    """Its encoder cannot be built."""

    model_config = ConfigDict(frozen=True)
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "none"
    name: str = "broken"

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> Any:
        return 1 // 0


def test_a_gpu_that_the_cluster_lacks_is_said(cluster: Any, clips: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the Ray cluster has no GPU: choose --device cpu, or add a node"):
        run(clips, tmp_path, device="cuda", engine=on_ray(None, "cuda", print))


class DeadlyConfig(BaseModel):
    """Loudness, by an encoder that takes its process down as long as there are lives to take."""

    model_config = ConfigDict(frozen=True)
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "none"
    name: str = "deadly"
    lives: Path
    """A folder; each process takes one file out of it."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Waveform]:
        def loudness(waveform: Waveform) -> np.ndarray:
            for life in self.lives.iterdir():
                life.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return np.abs(waveform.values).mean(keepdims=True)[None]

        return ClipEncoder(AudioStream(), ("loudness",), 0.0, loudness)


def deadly(clips: list[Clip], root: Path, lives: int, log: Callable[[str], None]) -> None:
    folder = root.parent / "lives"
    folder.mkdir()
    for life in range(lives):
        (folder / str(life)).touch()
    extract(
        clips[:4],
        [DeadlyConfig(lives=folder)],
        root,
        corpus_hash="toy",
        log=log,
        progress=lambda *_: None,
        engine=on_ray(None, "cpu", log),
        shard_size=4,
    )


def test_a_lost_shard_goes_to_another_worker(cluster: Any, clips: list[Clip], tmp_path: Path) -> None:
    said: list[str] = []
    deadly(clips, tmp_path / "features", 2, said.append)
    assert FeatureStore(tmp_path / "features" / "deadly").clips == tuple(clip.id for clip in clips[:4])
    assert len([line for line in said if "lost (ActorDiedError); another takes over" in line]) == 2


def test_a_shard_that_kills_every_worker_is_given_up(cluster: Any, clips: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shard-00000.safetensors was lost with its worker 4 times"):
        deadly(clips, tmp_path / "features", 9, lambda _: None)
    assert len([*(tmp_path / "lives").iterdir()]) == 5


def test_a_node_killed_midway_costs_nothing_but_time(
    cluster: Any, clips: list[Clip], alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    done: list[int] = []

    def kill_once(num_done: int, _total: int) -> None:
        done.append(num_done)
        # By now both nodes are at work, as each shard takes much longer than a message.
        if num_done >= 3 * SHARD_SIZE and len(cluster.worker_nodes) == 1:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    # A path relative to the driver, which the workers do not share.
    run(clips, Path("features"), engine=on_ray(None, "cpu", said.append), progress=kill_once)
    assert contents(tmp_path / "features") == alone
    assert done[-1] == len(clips) and not cluster.worker_nodes
    # At most the shard that was being encoded was repeated, and that was said.
    assert len([line for line in said if "another takes over" in line]) <= 1
