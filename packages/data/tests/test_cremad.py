"""CREMA-D: names, votes, and what is wrong with either."""

from pathlib import Path

import pytest

from blended.data.corpora import cremad, read_corpus
from blended.data.errors import InputError

HEADER = '"","A","D","F","H","N","S","fileName"\n'
STEMS = [f"{1001 + k}_DFA_{code}_XX" for k in range(5) for code in ("ANG", "SAD")]


def _votes(folder: Path, *extra: str) -> Path:
    rows = [f'"3{k:05d}",6,0,0,0,3,1,"{stem}"\n' for k, stem in enumerate(STEMS, start=1)]
    rows += [f'"1{k:05d}",1,1,1,1,1,1,"{stem}"\n' for k, stem in enumerate(STEMS, start=1)]
    path = folder / "tabulatedVotes.csv"
    path.write_text(HEADER + "".join(rows) + "".join(extra))
    return path


def test_votes_are_soft_labels(tmp_path: Path) -> None:
    corpus = (_votes(tmp_path), read_corpus("cremad", tmp_path, labels_only=True))[1]
    assert (len(corpus.clips), corpus.folds, corpus.has_media) == (10, (0, 1, 2, 3, 4), False)
    first = corpus.clips[0]
    assert (first.id, first.actor, first.mixture and first.mixture.name) == (STEMS[0], "1001", "ang")
    assert first.soft is not None
    assert first.soft.values == (0.6, 0.0, 0.0, 0.0, 0.1, 0.3)
    assert corpus.target(first) == [1, 0, 0, 0, 0, 0]
    assert corpus.target(first, soft=True) == [*first.soft.values]
    assert "for 5 of 10 clips most raters chose another emotion than was acted" in corpus.remarks[0].message
    voice = cremad.read_votes(tmp_path / "tabulatedVotes.csv", "voice")
    assert {soft.values for soft in voice.values()} == {(1 / 6,) * 6}


def test_pictures_before_sound(tmp_path: Path) -> None:
    for stem in STEMS:
        for folder, suffix in (("AudioWAV", ".wav"), ("VideoFlash", ".flv")):
            path = tmp_path / folder / f"{stem}{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    (tmp_path / "VideoFlash" / f"{STEMS[3]}.flv").unlink()
    corpus = read_corpus("cremad", tmp_path)
    assert [clip.path.suffix for clip in corpus.clips].count(".wav") == 1
    assert corpus.remarks == ()
    _votes(tmp_path)
    (tmp_path / "AudioWAV" / "1009_DFA_ANG_LO.wav").touch()
    corpus = read_corpus("cremad", tmp_path)
    assert corpus.remarks[0].clip_id == "1009_DFA_ANG_LO"
    (tmp_path / "AudioWAV" / "noise.wav").touch()
    with pytest.raises(
        InputError, match=r"noise\.wav is not a CREMA-D clip: expected a name like 1001_DFA_ANG_XX"
    ):
        read_corpus("cremad", tmp_path)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('"300099",0,0,0,0,0,0,"x"\n', r"line 22: expected counts of raters and at least one"),
        ('"300099",-1,0,0,0,0,2,"x"\n', r"line 22: expected counts of raters"),
        (
            f'"300099",1,0,0,0,0,0,"{STEMS[0]}"\n',
            rf"line 22: two rows of votes on '{STEMS[0]}' \(both\); remove",
        ),
    ],
)
def test_wrong_votes(tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        cremad.read_votes(_votes(tmp_path, row))
