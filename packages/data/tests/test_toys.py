"""The toy corpus is what other tests take it for."""

import csv
import hashlib
from pathlib import Path

import pytest

from blended.data.corpora import blemore
from blended.data.media import read_frames
from toys.clips import brightness_at, picture, seconds_at, toy_corpus, write_clip


def test_toy_corpus_has_no_copies(tmp_path: Path) -> None:
    folder = toy_corpus(tmp_path, num_folds=2, actors_per_fold=2, test_actors=2, seconds=0.2)
    clips = sorted(folder.rglob("*.mp4"))
    assert len(clips) == 60
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in clips}) == 60
    for table in ("train_metadata.csv", "apart/test_metadata.csv"):
        with (folder / table).open(newline="") as file:
            assert set(blemore.COLUMNS) <= {*next(csv.reader(file))}


def test_pictures_tell_the_time(tmp_path: Path) -> None:
    for seconds in (0.0, 0.5, 1.96):
        assert seconds_at(picture(seconds, (32, 32))) == pytest.approx(seconds, abs=0.005)
        assert brightness_at(seconds + 2) == brightness_at(seconds)
    frames = read_frames(write_clip(tmp_path / "a.mp4", seconds=0.4))
    assert [round(seconds_at(frame), 1) for frame in frames.values[::5]] == [0.0, 0.2]


def test_clips_are_reproducible(tmp_path: Path) -> None:
    first, second = write_clip(tmp_path / "a.mp4"), write_clip(tmp_path / "b.mp4")
    assert first.read_bytes() == second.read_bytes()
