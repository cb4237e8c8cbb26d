"""Broken files: every one is refused with a sentence that helps, or read as what is left of it."""

from pathlib import Path

import numpy as np
import pytest

from blended.data.errors import InputError
from blended.data.media import MediaError, probe, read_audio, read_frames
from toys.clips import write_clip


def _cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def _all_refuse(path: Path, sentence: str) -> None:
    with pytest.raises(MediaError, match=sentence) as refused:
        probe(path)
    assert isinstance(refused.value, InputError)
    with pytest.raises(MediaError, match=sentence):
        read_audio(path, 16000)
    with pytest.raises(MediaError, match=sentence):
        read_frames(path)


def test_missing(tmp_path: Path) -> None:
    _all_refuse(tmp_path / "a.mp4", r"a\.mp4 does not exist, expected a media file: check")


def test_a_folder(tmp_path: Path) -> None:
    _all_refuse(tmp_path, r"is a folder, expected a media file: name a file in it")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".wav"])
def test_zero_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.touch()
    _all_refuse(path, r"is empty \(0 bytes\), expected a media file: copy or download it again")


@pytest.mark.parametrize("text", ["not found\n", "<html>" + "404 " * 2000])
def test_text_under_the_name_of_a_video(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_text(text)
    _all_refuse(path, r"a\.mp4 cannot be opened as media \(.+\): expected a complete video or sound file")


def test_an_mp4_cut_before_its_index(tmp_path: Path) -> None:
    path = _cut(write_clip(tmp_path / "a.mp4"), 0.6)
    _all_refuse(path, r"a\.mp4 cannot be opened as media .* cut off")


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "fast.mp4"])
def test_files_that_decode_silently_short(tmp_path: Path, name: str, share: float) -> None:
    """The index comes first, so that FFmpeg reads what is there and says nothing."""
    path = write_clip(tmp_path / name, seconds=2.0, audio_rate_hz=48000, fast_start=True)
    whole = probe(path)
    cut = probe(_cut(path, share))
    assert cut.video is not None and whole.video is not None
    assert cut.video.duration_seconds < cut.video.declared_seconds == whole.video.declared_seconds  # type: ignore[operator]
    with pytest.raises(
        MediaError, match=r"is cut off: it declares 2\.\d\d seconds of video but holds [01]\.\d\d"
    ):
        read_frames(path, 5)
    with pytest.raises(MediaError, match=r"is cut off: it declares 2\.\d\d seconds of sound but|is damaged"):
        read_audio(path, 16000)


def test_cut_sound(tmp_path: Path) -> None:
    path = _cut(write_clip(tmp_path / "a.flac", seconds=2.0), 0.5)
    with pytest.raises(MediaError, match=r"cut off|damaged"):
        read_audio(path, 16000)


def test_cut_wav_is_what_is_left(tmp_path: Path) -> None:
    """FFmpeg takes its length from the file, not from the header."""
    path = _cut(write_clip(tmp_path / "a.wav", seconds=2.0), 0.5)
    assert read_audio(path, 16000).duration_seconds == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_whole_files_are_not_called_cut_off(tmp_path: Path, name: str) -> None:
    for fps in (7.0, 29.97):
        for rate_hz in (8000, 48000):
            path = write_clip(tmp_path / name, seconds=0.7, fps=fps, audio_rate_hz=rate_hz)
            assert len(read_frames(path).values) == round(0.7 * fps)
            assert read_audio(path, 16000).duration_seconds >= 0.69


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.wav", "a.flac"])
def test_flipped_bits(tmp_path: Path, name: str) -> None:
    """A flip may hit what is drawn, or what says how: either something of the right kind, or the sentence."""
    original = write_clip(tmp_path / name, seconds=0.4).read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(25):
        data = bytearray(original)
        for place in random.integers(0, len(data), 20):
            data[place] ^= 1 << int(random.integers(8))
        path = tmp_path / name
        path.write_bytes(data)
        try:
            sound = read_audio(path, 16000)
            assert np.isfinite(sound.values).all()
        except MediaError as error:
            assert str(path) in str(error)
            refused += 1
        try:
            assert read_frames(path, 5).values.ndim == 4
        except MediaError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused
