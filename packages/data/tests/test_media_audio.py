"""Sound: what is heard is what was written, at the time at which it was written."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from blended.data.media import MediaError, probe, read_audio
from toys.clips import write_clip


def _pitch_hz(values: NDArray[np.float32], rate_hz: int) -> float:
    """The strongest frequency, by a plain Fourier transform."""
    spectrum = np.abs(np.fft.rfft(values * np.hanning(len(values))))
    return float(spectrum.argmax() * rate_hz / len(values))


def _onset_seconds(values: NDArray[np.float32], rate_hz: int) -> float:
    return float((np.abs(values) > 0.02).argmax() / rate_hz)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".wav", ".flac", ".mp3"])
def test_tone_and_length_survive_every_container(tmp_path: Path, suffix: str) -> None:
    native = 48000 if suffix == ".webm" else 22050
    path = write_clip(tmp_path / f"a{suffix}", seconds=1.0, audio_rate_hz=native, tone_hz=880)
    sound = read_audio(path, 16000)
    assert sound.values.dtype == np.float32
    assert sound.values.ndim == 1
    # Lossy codecs outside MP4 do not say where the padding of their last packet begins.
    padding = 0.07 if suffix in (".mkv", ".mp3") else 1.5 / 16000
    assert 1.0 - 1 / 16000 <= sound.duration_seconds <= 1.0 + padding
    assert _pitch_hz(sound.values[:16000], 16000) == pytest.approx(880, abs=2)
    assert sound.start_seconds == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("native", [8000, 11025, 16000, 44100, 48000, 96000])
@pytest.mark.parametrize("wanted", [8000, 16000, 24000])
def test_resampling_keeps_pitch_length_and_loudness(tmp_path: Path, native: int, wanted: int) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=0.5, audio_rate_hz=native, tone_hz=1000, amplitude=0.5)
    values = read_audio(path, wanted).values
    assert abs(len(values) - 0.5 * wanted) <= 1
    assert _pitch_hz(values, wanted) == pytest.approx(1000, abs=4)
    middle = values[len(values) // 4 : -len(values) // 4]
    assert float(np.sqrt((middle**2).mean())) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_what_cannot_be_represented_is_filtered_out(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav", audio_rate_hz=48000, tone_hz=7000, amplitude=0.5)
    assert np.abs(read_audio(path, 8000).values[1000:-1000]).max() < 1e-3


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_mono_is_the_mean_of_the_channels(tmp_path: Path, width: int, channels: int) -> None:
    """Written by the standard library, so that nothing of FFmpeg is in the expectation."""
    steps = np.random.default_rng(0).integers(-100, 100, (400, channels))
    scale = 2 ** (8 * width - 8)
    samples = (steps + 128).astype(np.uint8) if width == 1 else (steps * scale).astype(f"<i{width}")
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    np.testing.assert_allclose(read_audio(path, 16000).values, steps.mean(axis=1) / 128, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 6])
def test_stereo_and_surround_of_lossy_codecs(tmp_path: Path, channels: int) -> None:
    path = write_clip(tmp_path / "a.mp4", channels=channels, audio_rate_hz=48000)
    info = probe(path).audio
    assert info is not None
    assert info.channels == channels
    assert _pitch_hz(read_audio(path, 16000).values, 16000) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_the_tone_begins_where_it_was_put(tmp_path: Path, suffix: str, offset: float) -> None:
    path = write_clip(
        tmp_path / f"a{suffix}", audio_rate_hz=44100, audio_start_seconds=offset, audio_seconds=0.4
    )
    sound = read_audio(path, 16000)
    heard = sound.start_seconds + _onset_seconds(sound.values, 16000)
    assert heard == pytest.approx(offset, abs=0.006)


def test_pictures_may_begin_after_the_sound(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", frame_times=[0.4, 0.44, 0.48, 0.52])
    info = probe(path)
    assert info.video is not None and info.audio is not None
    assert info.video.start_seconds == pytest.approx(0.4, abs=1e-3)
    assert info.audio.start_seconds == pytest.approx(0, abs=1e-3)


def test_a_hole_in_the_timestamps_is_silence(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", with_video=False, audio_seconds=1.0, audio_hole=(0.3, 0.4))
    sound = read_audio(path, 16000)
    assert sound.duration_seconds == pytest.approx(1.4, abs=0.08)
    silent = np.flatnonzero(np.abs(sound.values) > 0.02)
    longest = np.diff(silent).max() / 16000
    assert longest == pytest.approx(0.4, abs=0.07)


def test_sound_shorter_than_the_picture_is_not_padded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", seconds=1.0, audio_seconds=0.4)
    assert read_audio(path, 16000).duration_seconds == pytest.approx(0.4, abs=0.001)


def test_no_audio_track(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", with_audio=False)
    assert probe(path).audio is None
    with pytest.raises(
        MediaError, match=r"a\.mp4 has no audio track \(it has 1 video track\(s\)\).*only look"
    ):
        read_audio(path, 16000)


def test_no_such_track_and_no_such_rate(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav")
    with pytest.raises(MediaError, match=r"has no audio track 1: expected a number from 0 to 0"):
        read_audio(path, 16000, track=1)
    with pytest.raises(MediaError, match=r"asked for at 0 Hz, expected a positive rate"):
        read_audio(path, 0)
