"""The index: what is measured, what is remembered, and what comes back from its file."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from blended.data import measuring
from blended.data.clip import Clip, Corpus
from blended.data.corpora import read_corpus
from blended.data.errors import InputError
from blended.data.index import SCHEMA, Index, build_index, read_index, write_index
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.measurement import Measurement, measure
from blended.data.testing import toy_corpus, write_clip


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_corpus(tmp_path_factory.mktemp("toys"), seconds=0.2)


@pytest.fixture(scope="session")
def index(toys: Path) -> Index:
    return build_index(read_corpus("demo", toys), toys / ".cache")


def test_every_column(index: Index, toys: Path) -> None:
    assert dict(index.table.schema) == SCHEMA
    assert index.table["id"].to_list() == [clip.id for clip in index.corpus.clips]
    row = index.table.row(0, named=True)
    assert row["path"] == "train/A101_ang_int1_ver1.mp4"
    assert row["sha256"] == hashlib.sha256((toys / row["path"]).read_bytes()).hexdigest()
    expected = {
        "problem": None, "video_codec": "h264", "fps": 25.0, "constant_rate": True, "width": 32, "height": 32,
        "rotation_degrees": 0, "audio_codec": "aac", "rate_hz": 16000, "channels": 1, "clipped_share": 0.0,
        "actor": "A101", "split": "train", "fold": 0, "mixture": '{"ang": 100.0}', "soft": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["duration_seconds"] == row["video_seconds"] == pytest.approx(0.2)
    assert row["audio_seconds"] == pytest.approx(0.2, abs=0.001)
    # A sine of amplitude 0.1 is 20 + 3 dB below full scale; the codec fades it in.
    assert row["loudness_dbfs"] == pytest.approx(-23, abs=0.7)
    last = index.table.row(-1, named=True)
    assert (last["actor"], last["split"], last["fold"], last["mixture"]) == ("", "test", None, None)


def test_round_trip(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "index.parquet"
    write_index(index, path)
    again = read_index(path)
    assert again.corpus == index.corpus
    assert again.table.equals(index.table)
    assert (again.folder, again.corpus_hash) == (index.folder, index.corpus_hash)
    metadata = pl.read_parquet_metadata(path)
    assert (metadata["corpus"], metadata["synthetic"]) == ("demo", "true")
    assert LabelSpace.from_dict(json.loads(metadata["label_space"])) == index.corpus.space
    assert metadata["corpus_hash"] == index.corpus_hash
    assert not Path(metadata["folder"]).is_absolute()
    assert read_index(path, tmp_path).corpus.clips[0].path == tmp_path / "train" / "A101_ang_int1_ver1.mp4"


def test_linked_clips_belong_to_the_folder_of_the_links(toys: Path, index: Index, tmp_path: Path) -> None:
    for path in toys.rglob("*.mp4"):
        link = tmp_path / "linked" / path.relative_to(toys)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    (tmp_path / "linked" / "train_metadata.csv").write_bytes((toys / "train_metadata.csv").read_bytes())
    linked = build_index(read_corpus("demo", tmp_path / "linked"), toys / ".cache")
    assert linked.table.equals(index.table)
    assert linked.folder == tmp_path / "linked"
    write_index(linked, tmp_path / "index.parquet")
    assert read_index(tmp_path / "index.parquet").corpus == linked.corpus


def test_the_same_bytes_again(index: Index, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_index(index, tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_soft_labels_come_back(tmp_path: Path) -> None:
    soft = SoftLabel(("ang", "hap"), (0.25, 0.75))
    clip = Clip("a", write_clip(tmp_path / "a.wav"), "A1", fold=0, mixture=Mixture.single("hap"), soft=soft)
    corpus = Corpus("own", LabelSpace(("ang", "hap")), (clip,))
    write_index(build_index(corpus, tmp_path / "cache"), tmp_path / "index.parquet")
    assert read_index(tmp_path / "index.parquet").corpus == corpus


def test_hash_follows_labels_and_media_only(toys: Path, index: Index, tmp_path: Path) -> None:
    moved = toys.rename(toys.with_name("moved"))
    try:
        elsewhere = build_index(read_corpus("demo", moved), tmp_path / "cache")
    finally:
        moved.rename(toys)
    assert elsewhere.corpus_hash == index.corpus_hash
    first, *rest = index.corpus.clips
    for changed in (replace(first, mixture=Mixture.single("sad")), replace(first, path=rest[0].path)):
        other = build_index(replace(index.corpus, clips=(changed, *rest)), toys / ".cache")
        assert other.corpus_hash != index.corpus_hash


def _counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []

    def counted(path: Path) -> Measurement:
        read.append(path.name)
        return measure(path)

    monkeypatch.setattr(measuring, "measure", counted)
    return read


def test_a_second_run_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = _counting(monkeypatch)
    paths = [write_clip(tmp_path / f"{k}.wav", seconds=0.1, tone_hz=200 + k) for k in range(4)]
    cache = tmp_path / "cache"
    progress: list[tuple[int, int]] = []
    first = measuring.measure_all(paths, cache, progress=lambda done, total: progress.append((done, total)))
    assert (len(read), progress) == (4, [(0, 4), (4, 4)])
    assert measuring.measure_all(paths[::-1], cache) == first[::-1]
    assert len(read) == 4
    write_clip(paths[2], seconds=0.3)
    changed = measuring.measure_all(paths, cache)
    assert read[4:] == ["2.wav"]
    assert changed[2].sha256 != first[2].sha256
    os.utime(paths[0], ns=(1, 1))
    assert measuring.measure_all(paths, cache) == changed
    assert read[5:] == ["0.wav"]


def test_a_killed_run_loses_a_chunk_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 2)
    paths = [write_clip(tmp_path / f"{k}.wav", seconds=0.1, tone_hz=200 + k) for k in range(7)]
    undisturbed = measuring.measure_all(paths, tmp_path / "other")

    def killed(path: Path) -> Measurement:
        if path.name == "5.wav":
            raise KeyboardInterrupt
        return measure(path)

    monkeypatch.setattr(measuring, "measure", killed)
    with pytest.raises(KeyboardInterrupt):
        measuring.measure_all(paths, tmp_path / "cache")
    read = _counting(monkeypatch)
    assert measuring.measure_all(paths, tmp_path / "cache") == undisturbed
    assert read == ["4.wav", "5.wav", "6.wav"]


def test_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 2)
    monkeypatch.setattr(measuring, "WORTH_PROCESSES_SECONDS", 0.0)
    paths = [write_clip(tmp_path / f"{k}.mp4", seconds=0.1) for k in range(4)]
    paths[3].write_bytes(b"nothing")
    here = measuring.measure_all(paths, tmp_path / "a")
    assert measuring.measure_all(paths, tmp_path / "b", workers=2) == here


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    cut = write_clip(tmp_path / "cut.mkv", seconds=2.0)
    cut.write_bytes(cut.read_bytes()[:9000])
    for path, problem in (
        (tmp_path / "empty.mp4", r"is empty (0 bytes)"),
        (cut, "is cut off: it declares 2.00 seconds of video"),
    ):
        found = measure(path)
        assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert found.problem is not None
        assert problem in found.problem
        assert (found.container, found.fps, found.loudness_dbfs) == (None, None, None)
    gone = measure(tmp_path / "gone.mp4")
    assert gone.sha256 is None
    assert "gone.mp4 does not exist" in str(gone.problem)


def test_a_file_that_returns_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    assert measuring.measure_all([path], tmp_path / "cache")[0].sha256 is None
    write_clip(path)
    assert measuring.measure_all([path], tmp_path / "cache")[0].problem is None


def test_wrong_files(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    with pytest.raises(InputError, match=r"index\.parquet does not exist, expected the index of a corpus"):
        read_index(path)
    path.write_text("no parquet")
    with pytest.raises(InputError, match=r"is not a Parquet file"):
        read_index(path)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "measurements.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"measurements\.parquet is no cache .*: delete it and run again"):
        measuring.measure_all([path], tmp_path / "cache")
    index.table.write_parquet(path)
    with pytest.raises(InputError, match=r"is not the index of a corpus as written by this version"):
        read_index(path)
    edited = replace(index, table=index.table.with_columns(sha256=pl.lit("0" * 64)))
    write_index(edited, path)
    with pytest.raises(InputError, match=r"was edited, so index again"):
        read_index(path)
    with pytest.raises(InputError, match=r"has no clips: expected at least one"):
        build_index(Corpus("none", LabelSpace(("ang",)), ()), path)
