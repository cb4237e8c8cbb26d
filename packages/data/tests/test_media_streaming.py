"""Piece by piece comes what comes at once, to the bit, and the same refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blended.data.media import MediaError, probe, read_audio, read_frames
from blended.data.media.audio import stream_audio
from blended.data.media.frames import stream_pictures
from blended.data.media.records import Reading
from toys.clips import write_clip

CLIPS: dict[str, dict[str, Any]] = {
    "a.mp4": {"seconds": 3.0, "audio_rate_hz": 44100},
    "late.mp4": {"audio_start_seconds": 0.25, "audio_seconds": 0.4},
    "a.mov": {"audio_rate_hz": 48000, "channels": 2},
    "a.mkv": {"seconds": 2.0, "audio_rate_hz": 22050},
    "hole.mkv": {"with_video": False, "audio_hole": (0.3, 0.4)},
    "a.webm": {"audio_rate_hz": 48000},
    "a.wav": {"audio_rate_hz": 11025},
    "a.flac": {},
    "a.mp3": {"audio_rate_hz": 44100},
    "uneven.mp4": {"frame_times": [0.0, 0.04, 0.3, 0.31, 0.9, 1.5]},
}


def joined(reading: Reading) -> np.ndarray:
    pieces = list(reading.pieces)
    assert all(len(piece) for piece in pieces)
    return np.concatenate(pieces)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("name", [name for name in CLIPS if name != "uneven.mp4"])
def test_sound(tmp_path: Path, name: str, rate_hz: int) -> None:
    path = write_clip(tmp_path / name, **CLIPS[name])
    whole, reading = read_audio(path, rate_hz), stream_audio(path, rate_hz)
    assert (reading.rate_hz, reading.start_seconds) == (whole.rate_hz, whole.start_seconds)
    values = joined(reading)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, whole.values)


@pytest.mark.parametrize("rate_hz", [None, 4.0, 60.0])
@pytest.mark.parametrize("size", [None, (20, 30)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "uneven.mp4"])
def test_pictures(tmp_path: Path, name: str, size: tuple[int, int] | None, rate_hz: float | None) -> None:
    path = write_clip(tmp_path / name, **CLIPS[name])
    whole, reading = read_frames(path, rate_hz, size=size), stream_pictures(path, rate_hz, size=size)
    assert (reading.rate_hz, reading.start_seconds) == (whole.rate_hz, whole.start_seconds)
    np.testing.assert_array_equal(joined(reading), whole.values)


def test_pictures_that_are_changed(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")

    def change(seconds: float, picture: np.ndarray) -> np.ndarray:
        return np.full((2, 2, 3), round(seconds * 100) + picture[0, 0, 0] % 7, np.uint8)

    whole = read_frames(path, 10.0, size=(2, 2), change=change)
    reading = stream_pictures(path, 10.0, size=(2, 2), change=change)
    np.testing.assert_array_equal(joined(reading), whole.values)


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "fast.mp4", "a.flac", "a.mp4"])
def test_what_is_cut_off_is_refused_with_the_same_words(tmp_path: Path, name: str, share: float) -> None:
    path = write_clip(tmp_path / name, seconds=2.0, audio_rate_hz=48000, fast_start=name == "fast.mp4")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    for at_once, streamed in (
        (lambda: read_audio(path, 16000).values, lambda: joined(stream_audio(path, 16000))),
        (lambda: read_frames(path).values, lambda: joined(stream_pictures(path))),
    ):
        try:
            expected = at_once()
        except MediaError as error:
            with pytest.raises(MediaError) as refused:
                streamed()
            assert str(refused.value) == str(error)
        else:
            np.testing.assert_array_equal(streamed(), expected)


def test_no_more_is_decoded_than_asked_for(tmp_path: Path) -> None:
    """The damage at the end is not met before its time."""
    path = write_clip(tmp_path / "a.mkv", seconds=4.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    info = probe(path).video
    assert info is not None
    with pytest.raises(MediaError, match="cut off"):
        stream_pictures(path)  # a picture's packets are looked through first
    sound = stream_audio(path, 16000)
    for _ in range(20):
        assert len(next(sound.pieces))
    with pytest.raises(MediaError, match="cut off"):
        joined(sound)


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav")
    with pytest.raises(MediaError, match="at 0 Hz, expected a positive rate"):
        stream_audio(path, 0)
    with pytest.raises(MediaError, match="no video track"):
        stream_pictures(path)
    with pytest.raises(MediaError, match="does not exist"):
        stream_audio(tmp_path / "b.wav", 16000)
