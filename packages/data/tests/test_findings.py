"""Findings: each planted fault is found, at its level, on its clip, and nothing else is."""

import shutil
from pathlib import Path

import pytest

from blended.data.clip import Clip, Corpus
from blended.data.findings import Finding, check
from blended.data.index import build_index
from blended.data.labels import LabelSpace, Mixture
from toys.clips import write_clip

SPACE = LabelSpace(("ang", "hap"))


def _clip(path: Path, actor: str = "A1", fold: int | None = 0, emotion: str = "ang") -> Clip:
    split = "train" if fold is not None else "test"
    return Clip(path.stem, path, actor, split, fold, Mixture.single(emotion))


def _check(*clips: Clip) -> list[Finding]:
    cache = clips[0].path.parent / "cache"
    return check(build_index(Corpus("own", SPACE, clips), cache))


def _sound(folder: Path, name: str = "sound") -> Clip:
    return _clip(write_clip(folder / f"{name}.mp4", tone_hz=300 + 10 * len(name)))


def _only(found: list[Finding], clip_id: str) -> Finding:
    """The one finding on a clip, with none on the others."""
    on_clips = [finding for finding in found if finding.clip_id]
    assert [finding.clip_id for finding in on_clips] == [clip_id]
    return on_clips[0]


def test_a_sound_corpus_has_notes_only(tmp_path: Path) -> None:
    found = _check(
        _sound(tmp_path), _sound(tmp_path, "second"), _clip(write_clip(tmp_path / "t.mp4"), "", None)
    )
    assert found == [Finding("note", "", "training clips by fold 0: 2; test clips: 1")]


@pytest.mark.parametrize(
    ("options", "level", "sentence"),
    [
        ({"with_audio": False}, "error", "no audio track, while other clips have one"),
        ({"with_video": False}, "error", "no video track, while other clips have one"),
        ({"amplitude": 0.0}, "warning", "the sound is silent (-120 dBFS): check the recording"),
        ({"amplitude": 4.0}, "warning", "of the sound is at full scale: it is clipped"),
        ({"audio_seconds": 0.4}, "warning", "the sound lasts 0.40 s, the picture 1.00 s: check whether"),
        ({"frame_times": [0.0, 0.1, 0.5, 0.52, 0.9]}, "note", "the frame rate varies around 4.4 a second"),
    ],
)
def test_odd_media(tmp_path: Path, options: dict[str, object], level: str, sentence: str) -> None:
    odd = _clip(write_clip(tmp_path / "odd.mp4", **options))  # type: ignore[arg-type]
    finding = _only(_check(_sound(tmp_path), odd), "odd")
    assert finding.level == level
    assert sentence in finding.message


def test_what_the_adapter_said_comes_first(tmp_path: Path) -> None:
    said = (Finding("note", "a", "left out: lost (exclude.yaml)"), Finding("error", "b", "its name says sad"))
    corpus = Corpus("own", SPACE, (_sound(tmp_path),), remarks=said)
    found = check(build_index(corpus, tmp_path / "cache"))
    assert found[:2] == [said[1], said[0]]


def test_labels_only_is_one_note(tmp_path: Path) -> None:
    corpus = Corpus("own", SPACE, (_clip(tmp_path / "gone.mp4"),), has_media=False)
    found = check(build_index(corpus, tmp_path / "cache"))
    assert [finding.level for finding in found] == ["note", "note"]
    assert (
        "labels only: the 1 clips have no recordings here, so features must be imported" in found[0].message
    )


def test_quiet_is_not_silent(tmp_path: Path) -> None:
    """BLEMORE's voices lie near -65 dBFS."""
    quiet = _clip(write_clip(tmp_path / "quiet.mov", amplitude=0.0008))
    assert not [finding for finding in _check(_sound(tmp_path), quiet) if finding.clip_id]


def test_a_whole_corpus_without_pictures_is_one_note(tmp_path: Path) -> None:
    clips = [_clip(write_clip(tmp_path / f"{k}.wav", tone_hz=300 + k)) for k in range(3)]
    found = _check(*clips)
    assert Finding("note", "", "no clip has video: choose encoders that only listen") in found
    assert not [finding for finding in found if finding.clip_id]


def test_unreadable_files(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.touch()
    text.write_text("404")
    cut = write_clip(tmp_path / "cut.mkv", seconds=2.0)
    cut.write_bytes(cut.read_bytes()[:9000])
    gone = tmp_path / "gone.mp4"
    found = _check(_sound(tmp_path), *(_clip(path) for path in (empty, text, cut, gone)))
    told = {finding.clip_id: finding.message for finding in found if finding.level == "error"}
    assert [*told] == ["empty", "text", "cut", "gone"]
    for clip_id, words in zip(
        told, ("0 bytes", "cannot be opened", "cut off", "does not exist"), strict=True
    ):
        assert words in told[clip_id]
    assert [finding.level for finding in found] == sorted(
        (f.level for f in found), key="error warning note".index
    )


@pytest.mark.parametrize(
    ("actor", "fold", "level", "sentence"),
    [
        ("A1", 0, "warning", "the same file as 'sound': remove one, or it counts twice"),
        (
            "A2",
            1,
            "error",
            "the same file as 'sound', which is in fold 0 while this is in fold 1: remove one",
        ),
        ("A3", None, "error", "which is in fold 0 while this is in the test partition: remove one"),
    ],
)
def test_copies(tmp_path: Path, actor: str, fold: int | None, level: str, sentence: str) -> None:
    sound = _sound(tmp_path)
    copy = _clip(Path(shutil.copy(sound.path, tmp_path / "copy.mp4")), actor, fold)
    finding = _only(_check(sound, copy), "copy")
    assert finding.level == level
    assert sentence in finding.message


def test_imbalance(tmp_path: Path) -> None:
    few = _clip(write_clip(tmp_path / "few.wav", tone_hz=500), "A2", 1, "hap")
    many = [_clip(write_clip(tmp_path / f"{k}.wav", tone_hz=300 + k)) for k in range(2)]
    messages = [finding.message for finding in _check(few, *many)]
    assert "training clips by fold 0: 2, fold 1: 1; test clips: 0" in messages
    assert any(m.startswith("actors are uneven, from 1 (A2) to 2 (A1) training clips") for m in messages)
    assert any(m.startswith("emotion sets are uneven, from 1 (hap) to 2 (ang)") for m in messages)
