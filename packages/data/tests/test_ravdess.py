"""RAVDESS by its names alone: modalities of a take, files in wrong folders, names that cannot be."""

from pathlib import Path

import pytest

from blended.data.corpora import ravdess, read_corpus
from blended.data.errors import InputError
from blended.data.labels import Mixture


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def _everybody(folder: Path, modality: str = "03", suffix: str = ".wav") -> Path:
    return _touch(
        folder,
        *(f"Actor_{a:02d}/{modality}-01-0{e}-01-01-01-{a:02d}{suffix}" for a in range(1, 7) for e in (2, 3)),
    )


def test_names() -> None:
    one = ravdess.recording(Path("x/02-02-06-02-01-02-24.mp4"))
    assert one is not None
    assert (one.modality, one.take, one.emotion, one.actor) == ("02", "02-06-02-01-02-24", "fea", "24")
    for name in (
        "04-01-01-01-01-01-01",
        "03-01-09-01-01-01-01",
        "03-01-01-01-01-01-25",
        "03-01-01-01-01-01",
        "a",
    ):
        assert ravdess.recording(Path(name)) is None


def test_a_take_is_one_clip(tmp_path: Path) -> None:
    _everybody(tmp_path, "03")
    _everybody(tmp_path / "Video_Speech", "02", ".mp4")
    _touch(tmp_path / "Video_Speech", "Actor_01/01-01-02-01-01-01-01.mp4")
    corpus = read_corpus("ravdess", tmp_path)
    assert len(corpus.clips) == 12
    assert [clip.id for clip in corpus.clips if clip.actor == "01"] == [
        "01-01-02-01-01-01-01",
        "03-01-03-01-01-01-01",
    ]
    assert [remark.message for remark in corpus.remarks] == [
        "1 takes are there as sound and picture and picture only and sound only: one clip each, from the "
        "fullest file",
        "11 takes are there as picture only and sound only: one clip each, from the fullest file",
    ]
    assert corpus.clips[0].mixture == Mixture.single("calm")
    assert len(corpus.folds) == 6


def test_what_contradicts_itself_is_an_error(tmp_path: Path) -> None:
    _everybody(tmp_path)
    _touch(
        tmp_path,
        "Actor_03/03-01-02-01-01-01-02.wav",
        "Actor_04/03-01-01-02-01-01-04.wav",
        "Actor_04/03-01-02-01-01-01-04.flac",
        "Actor_04/notes.mp3",
        "Actor_04/._03-01-02-01-01-01-04.wav",
    )
    corpus = read_corpus("ravdess", tmp_path)
    assert len(corpus.clips) == 12
    told = [(remark.level, remark.clip_id, remark.message) for remark in corpus.remarks]
    assert [level for level, _, _ in told] == ["error", "error", "warning", "error"]
    assert "bears the name of actor 02 in the folder of actor 03" in told[0][2]
    assert "is a neutral of strong intensity" in told[1][2]
    assert told[2][2] == "1 file(s) are not named as takes and were left out: Actor_04/notes.mp3"
    assert "are the same take: remove one, or list it in exclude.yaml" in told[3][2]
    (tmp_path / "exclude.yaml").write_text(
        "- {file: Actor_03/03-01-02-01-01-01-02, reason: misfiled}\n"
        "- {file: 03-01-01-02-01-01-04.wav, reason: misnamed}\n"
        "- {file: 03-01-02-01-01-01-04.wav, reason: the FLAC is kept}\n"
    )
    corpus = read_corpus("ravdess", tmp_path)
    assert [remark.level for remark in corpus.remarks] == ["warning", "note", "note", "note"]
    assert len(corpus.clips) == 12


def test_nothing_to_read(tmp_path: Path) -> None:
    _touch(tmp_path, "Actor_01/a.wav")
    with pytest.raises(
        InputError, match=r"has no RAVDESS recording: expected files named like Actor_12/03-01-05"
    ):
        read_corpus("ravdess", tmp_path)
