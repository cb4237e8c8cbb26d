"""RAVDESS as it really is: the misfiled copy, the files that are the same, and its action units."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blended.data import Corpus
from blended.data.corpora import CORPORA, read_corpus
from blended.data.corpora.adapter import Exclusions, Reading
from blended.data.findings import check
from blended.data.foreign import ImportedConfig, import_features, open_imported
from blended.data.importing import import_corpus
from blended.data.index import Index, build_index, read_index, write_index

MISFILED = "03-01-05-01-01-01-02"
ACTORS = [f"{number:02d}" for number in range(1, 13)]


@pytest.fixture(scope="session")
def recordings(reference: Path) -> Path:
    folder = reference / "ravdess"
    if not any(folder.rglob("*.flac")):
        pytest.skip(f"no recordings in {folder}")
    return folder


@pytest.fixture(scope="session")
def index(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Without any exclusion, so that what is wrong must be found; actors 05 and 07 only, for time."""
    corpus = CORPORA["ravdess"].read(Reading(recordings, excluded=Exclusions()))
    few = tuple(clip for clip in corpus.clips if clip.actor in ("05", "07"))
    return build_index(replace(corpus, clips=few), tmp_path_factory.mktemp("ravdess"), folder=recordings)


def test_the_misfiled_copy_is_an_error(recordings: Path) -> None:
    corpus = CORPORA["ravdess"].read(Reading(recordings, excluded=Exclusions()))
    errors = [remark for remark in corpus.remarks if remark.level == "error"]
    assert [error.clip_id for error in errors] == [MISFILED]
    assert "Actor_05/03-01-05-01-01-01-02.flac bears the name of actor 02 in the folder of actor 05" in (
        errors[0].message
    )
    assert len(corpus.clips) == 720
    right = next(clip for clip in corpus.clips if clip.id == MISFILED)
    assert (right.actor, right.path.parent.name) == ("02", "Actor_02")


def test_the_pair_with_the_same_bytes_is_found(index: Index) -> None:
    found = [finding for finding in check(index) if "the same file as" in finding.message]
    assert [(finding.level, finding.clip_id) for finding in found] == [("warning", "03-01-03-01-02-02-07")]
    assert "'03-01-03-01-02-01-07'" in found[0].message
    # The other pair is the misfiled copy, which is no clip: nothing else is the same.
    assert len({*index.table["sha256"]}) == index.table.height - 1


def test_every_recording_is_heard(index: Index) -> None:
    assert index.table["problem"].null_count() == index.table.height == 120
    assert {*index.table["audio_codec"]} == {"flac"}
    assert index.table["voiced_share"].min() > 0.05
    assert index.table["loudness_dbfs"].is_between(-80, -10).all()


def test_the_shipped_exclusions_leave_nothing_wrong(recordings: Path, tmp_path: Path) -> None:
    corpus = import_corpus("ravdess", recordings / "audio", tmp_path / "ravdess", log=lambda text: None)
    assert [remark.level for remark in corpus.remarks] == ["note", "note"]
    assert len(corpus.clips) == 719
    assert sorted({clip.actor for clip in corpus.clips}) == ACTORS
    assert Counter(clip.fold for clip in corpus.clips) == {
        0: 120,
        1: 120,
        2: 120,
        3: 120,
        4: 119,
        5: 120,
    } or (sorted(Counter(clip.fold for clip in corpus.clips).values()) == [119, 120, 120, 120, 120, 120])
    assert corpus.label_hash() == read_corpus("ravdess", recordings).label_hash()


def test_labels_of_the_manifest(recordings: Path) -> None:
    """The names, read independently by whoever made the manifest."""
    import polars as pl

    manifest = pl.read_csv(recordings / "manifest.csv", infer_schema=False)
    words = {"neutral": "neu", "calm": "calm", "happy": "hap", "sad": "sad", "angry": "ang", "fearful": "fea",
             "disgust": "disg", "surprised": "sur"}  # fmt: skip
    rows = {
        Path(path).stem: (words[emotion], actor)
        for path, emotion, actor, odd in manifest.select(
            "path", "emotion", "name_actor", "anomaly_name_vs_folder"
        ).iter_rows()
        if odd == "0"
    }
    for clip in read_corpus("ravdess", recordings).clips:
        assert clip.mixture is not None
        assert rows[clip.id] == (clip.mixture.name, clip.actor)


def test_action_units_land_in_a_store(recordings: Path, tmp_path: Path) -> None:
    source = recordings / "openface_au_clip_means.csv"
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    corpus = read_corpus("ravdess", recordings)
    config = ImportedConfig(name="openface-au", modality="video")
    clips: dict[str, float | None] = dict.fromkeys((clip.id for clip in corpus.clips), None)
    done = import_features(source, tmp_path, config, clips, corpus_hash="c", log=lambda text: None)
    assert (done.num_clips, dict(done.failures), done.num_unused) == (719, {}, 1)
    assert len(done.columns) == 35 and all(name.startswith("AU") for name in done.columns)
    store = open_imported(done.store, config, "c")
    _linear_recall_of(corpus, np.stack([store.read(clip.id).values[0] for clip in corpus.clips]))


def _linear_recall_of(corpus: Corpus, values: np.ndarray) -> None:
    """A plain linear model on other actors' action units: about .61 unweighted recall."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    targets = np.array([np.argmax(corpus.target(clip)) for clip in corpus.clips])
    folds = np.array([clip.fold for clip in corpus.clips])
    decided = np.empty_like(targets)
    for fold in corpus.folds:
        train = folds != fold
        mean, spread = values[train].mean(axis=0), values[train].std(axis=0) + 1e-6
        model = linear_model.RidgeClassifier(alpha=30, class_weight="balanced")
        model.fit((values[train] - mean) / spread, targets[train])
        decided[~train] = model.predict((values[~train] - mean) / spread)
    recall = np.mean([(decided[targets == k] == k).mean() for k in range(8)])
    assert 0.55 < recall < 0.7


def test_the_index_keeps_what_the_adapter_said(index: Index, tmp_path: Path) -> None:
    write_index(index, tmp_path / "index.parquet")
    again = read_index(tmp_path / "index.parquet")
    assert again.corpus == index.corpus
    assert check(again) == check(index)
