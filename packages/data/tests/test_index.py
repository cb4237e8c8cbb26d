"""The index: what is measured, what is remembered, and what comes back from its file."""

import hashlib
import json
import os
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from blended.data import measurement_cache, measuring
from blended.data.clip import Clip, Corpus
from blended.data.corpora import read_corpus
from blended.data.errors import InputError
from blended.data.index import SCHEMA, Index, build_index, read_index, write_index
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.measurement import Measurement, decode, inspect, measure
from toys.clips import toy_corpus, write_clip


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


def _counting(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Names of files as they are hashed, and as they are decoded."""
    inspected: list[str] = []
    decoded: list[str] = []

    def counted(path: Path, known: Container[str] = ()) -> Measurement:
        inspected.append(path.name)
        return inspect(path, known)

    def counted_too(path: Path, found: Measurement) -> Measurement:
        decoded.append(path.name)
        return decode(path, found)

    monkeypatch.setattr(measuring, "inspect", counted)
    monkeypatch.setattr(measuring, "decode", counted_too)
    return inspected, decoded


def test_a_second_run_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspected, decoded = _counting(monkeypatch)
    paths = [write_clip(tmp_path / f"{k}.wav", seconds=0.1, tone_hz=200 + k) for k in range(4)]
    cache = tmp_path / "cache"
    progress: list[tuple[int, int]] = []
    first = measuring.measure_all(paths, cache, progress=lambda done, total: progress.append((done, total)))
    assert first == [measure(path) for path in paths]
    assert inspected == decoded == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert progress == [(0, 4), (4, 4)] * 2
    assert measuring.measure_all(paths[::-1], cache) == first[::-1]
    assert len(inspected) == len(decoded) == 4
    write_clip(paths[2], seconds=0.3)
    changed = measuring.measure_all(paths, cache)
    assert (inspected[4:], decoded[4:]) == (["2.wav"], ["2.wav"])
    assert changed[2].sha256 != first[2].sha256


def test_what_was_touched_or_moved_is_hashed_and_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_clip(tmp_path / f"{k}.mp4", seconds=0.1, tone_hz=200 + k) for k in range(3)]
    paths[2].write_bytes(b"nothing")
    first = measuring.measure_all(paths, tmp_path / "cache")
    inspected, decoded = _counting(monkeypatch)
    os.utime(paths[0], ns=(1, 1))
    moved = [paths[0], *(path.rename(tmp_path / f"moved-{path.name}") for path in paths[1:])]
    again = measuring.measure_all(moved, tmp_path / "cache")
    assert (inspected, decoded) == (["0.mp4", "moved-1.mp4", "moved-2.mp4"], [])
    assert again[:2] == first[:2]
    # The words name the file as it is called now.
    assert "moved-2.mp4 cannot be opened" in str(again[2].problem)
    # A suffix is a hint to whoever opens a file: under another one it is looked into again.
    other = measuring.measure_all([moved[1].rename(tmp_path / "1.mov")], tmp_path / "cache")
    assert (other, decoded) == ([first[1]], ["1.mov"])


def test_the_first_pass_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", rotation_degrees=90, size=(32, 48))
    inspected, decoded = _counting(monkeypatch)
    (found,) = measuring.inspect_all([path], tmp_path / "cache")
    assert (inspected, decoded) == (["a.mp4"], [])
    assert (found.fps, found.video_seconds, found.audio_codec, found.rate_hz) == (25.0, 1.0, "aac", 16000)
    assert (found.rotation_degrees, found.audio_seconds, found.is_seen, found.is_heard) == (
        None,
        None,
        False,
        False,
    )
    (whole,) = measuring.measure_all([path], tmp_path / "cache")
    assert (inspected, decoded) == (["a.mp4"], ["a.mp4"])
    assert (whole.width, whole.height, whole.rotation_degrees) == (32, 48, 90)
    assert whole.is_seen and whole.is_heard


def test_a_killed_run_loses_a_chunk_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 2)
    monkeypatch.setattr(measurement_cache, "SAVE_EVERY_SECONDS", 0.0)
    paths = [write_clip(tmp_path / f"{k}.wav", seconds=0.1, tone_hz=200 + k) for k in range(7)]
    undisturbed = measuring.measure_all(paths, tmp_path / "other")
    with monkeypatch.context() as patched:

        def killed(path: Path, known: Container[str] = ()) -> Measurement:
            if path.name == "5.wav":
                # As after kill -9: what is not on disk by now is lost.
                patched.setattr(measurement_cache.MeasurementCache, "save", lambda self, now=False: None)
                raise KeyboardInterrupt
            return inspect(path, known)

        patched.setattr(measuring, "inspect", killed)
        with pytest.raises(KeyboardInterrupt):
            measuring.measure_all(paths, tmp_path / "cache")
    inspected, _ = _counting(monkeypatch)
    assert measuring.measure_all(paths, tmp_path / "cache") == undisturbed
    assert inspected == ["4.wav", "5.wav", "6.wav"]


def test_an_interrupted_run_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 1)
    paths = [write_clip(tmp_path / f"{k}.wav", seconds=0.1, tone_hz=200 + k) for k in range(3)]

    def interrupted(path: Path, found: Measurement) -> Measurement:
        if path.name == "2.wav":
            raise KeyboardInterrupt
        return decode(path, found)

    with monkeypatch.context() as patched:
        patched.setattr(measuring, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measuring.measure_all(paths, tmp_path / "cache")
    inspected, decoded = _counting(monkeypatch)
    measuring.measure_all(paths, tmp_path / "cache")
    assert (inspected, decoded) == ([], ["2.wav"])


def test_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 1)
    monkeypatch.setattr(measuring, "WORTH_PROCESSES_SECONDS", 0.0)
    paths = [write_clip(tmp_path / f"{k}.mp4", seconds=0.1) for k in range(8)]
    paths[7].write_bytes(b"nothing")
    here = measuring.measure_all(paths, tmp_path / "a")
    assert measuring.measure_all(paths, tmp_path / "b", workers=2) == here


def test_other_processes_do_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 1)
    monkeypatch.setattr(measuring, "WORTH_PROCESSES_SECONDS", 0.0)
    # Another process cannot import this file, but it has `eval`.
    jobs = [f"({k}, __import__('time').sleep(0.02), __import__('os').getpid())[2]" for k in range(100)]
    done = [pair for piece in measuring.share_out(eval, jobs, 2) for pair in piece]
    assert sorted(job for job, _ in done) == sorted(jobs)
    assert len({process for _, process in done}) == 2
    alone = [pair for piece in measuring.share_out(eval, jobs[:3], 1) for pair in piece]
    assert alone == [(job, os.getpid()) for job in jobs[:3]]


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
