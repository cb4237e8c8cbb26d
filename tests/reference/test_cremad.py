"""Corpora whose labels are here without recordings: CREMA-D's votes and BLEMORE's table, all rows."""

import math
from collections import Counter
from pathlib import Path

import pytest

from blended.data import Corpus
from blended.data.corpora import cremad, read_corpus
from blended.data.findings import check
from blended.data.importing import import_corpus
from blended.data.index import build_index, read_index, write_index


@pytest.fixture(scope="session")
def votes(reference: Path) -> Path:
    path = reference / "cremad" / "tabulatedVotes.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def test_votes_of_every_condition_are_distributions(votes: Path) -> None:
    for condition in ("voice", "face", "both"):
        shares = cremad.read_votes(votes, condition)
        assert len(shares) == 7442
        assert all(math.isclose(math.fsum(soft.values), 1, abs_tol=1e-9) for soft in shares.values())
    # 1001_IEO_NEU_XX, row 100001: eleven raters of the voice, one for happy and ten for neutral.
    by_emotion = dict(
        zip(cremad.EMOTIONS, cremad.read_votes(votes, "voice")["1001_IEO_NEU_XX"].values, strict=True)
    )
    assert (by_emotion["hap"], by_emotion["neu"]) == (1 / 11, 10 / 11)


def test_the_corpus_without_media(votes: Path) -> None:
    corpus = read_corpus("cremad", votes.parent, labels_only=True)
    assert (len(corpus.clips), len({clip.actor for clip in corpus.clips})) == (7442, 91)
    assert corpus.space.task == "single"
    _folds_are_alike(corpus)


def _folds_are_alike(corpus: Corpus) -> None:
    """91 actors do not divide by five: one fold has an actor more."""
    emotions = Counter(clip.id.split("_")[2] for clip in corpus.clips)
    for fold in corpus.folds:
        inside = Counter(clip.id.split("_")[2] for clip in corpus.clips if clip.fold == fold)
        for emotion, count in emotions.items():
            assert inside[emotion] == pytest.approx(count / 5, rel=0.05)


def test_blemore_without_media(reference: Path, tmp_path: Path) -> None:
    source = reference / "blemore"
    if not (source / "train_metadata.csv").is_file():
        pytest.skip(f"no train_metadata.csv in {source}")
    corpus = import_corpus("blemore", source, tmp_path / "blemore", labels_only=True, log=lambda text: None)
    assert (len(corpus.clips), len({clip.actor for clip in corpus.clips})) == (2456, 47)
    assert [Counter(clip.fold for clip in corpus.clips)[fold] for fold in range(5)] == [
        522,
        486,
        468,
        472,
        508,
    ]
    blends = sum(clip.mixture is not None and clip.mixture.is_blend for clip in corpus.clips)
    assert (len(corpus.clips) - blends, blends) == (1130, 1326)
    assert corpus.remarks == ()
    write_index(
        build_index(corpus, tmp_path / "cache", folder=tmp_path / "blemore"), tmp_path / "index.parquet"
    )
    again = read_index(tmp_path / "index.parquet")
    assert again.corpus == corpus
    assert [finding.level for finding in check(again)] == ["note"] * 4
    assert "labels only: the 2456 clips have no recordings here" in check(again)[0].message
