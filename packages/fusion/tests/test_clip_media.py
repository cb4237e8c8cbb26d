"""Clips in windows: what is seen and heard at which time, at every size, and without a track."""

from pathlib import Path

import numpy as np
import pytest

from blended.data import InputError
from blended.encoders.encoder import AudioStream, AudioVisual, AudioVisualStream
from blended.encoders.hicmae import PREPARATION, spectrograms
from blended.encoders.pictures import Windows, picture_stream
from blended.encoders.sound import RATE_HZ
from blended.fusion.hicmae.clips import ClipPreparation, prepared_clip
from blended.fusion.hicmae.sizes import backbone_of, preparation_of
from toys.clips import brightness_at, write_clip

DEMO = preparation_of(backbone_of("demo"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "toy.mp4", seconds=5.12, size=(96, 80))


def test_at_the_published_size_it_sees_and_hears_what_the_frozen_encoder_does(path: Path) -> None:
    """Windows from 0 and to the end; the encoder's sound ends with its last picture, 0.16 s earlier."""
    clip = prepared_clip(path, preparation_of(backbone_of("small"), windows=2))
    assert clip.pictures.shape == (2, 16, 160, 160, 3) and clip.sound.shape == (2, 256, 128)
    decoded = AudioVisualStream(picture_stream(6.25, 160, None), AudioStream(RATE_HZ)).read(path)
    assert isinstance(decoded, AudioVisual)
    pixels = PREPARATION.pixels(decoded.frames.values).permute(0, 2, 3, 1).numpy()
    assert len(pixels) == 32
    np.testing.assert_array_equal(clip.pictures, pixels.reshape(2, 16, 160, 160, 3))
    heard = spectrograms(decoded, Windows(6.25, 16, 16))[:, 0]
    np.testing.assert_allclose(clip.sound[:, :230], heard[:, :230], atol=0.05)


def test_smaller_networks_get_averages_of_the_same_stretch(path: Path) -> None:
    full = prepared_clip(path, preparation_of(backbone_of("small"))).sound.astype(np.float32)
    small = prepared_clip(path, DEMO)
    assert small.pictures.shape == (1, 8, 64, 64, 3) and small.sound.shape == (1, 128, 64)
    averaged = full.reshape(1, 128, 2, 64, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(small.sound, averaged, atol=2e-3)


def test_one_window_lies_in_the_middle_and_tells_its_time(path: Path) -> None:
    """The upper half of a toy picture says when it was shown."""
    clip = prepared_clip(path, DEMO)
    first_step = (16 - 8) // 2
    for step in (0, 3, 7):
        grey = clip.pictures[0, step, 4:28].mean()
        assert grey == pytest.approx(brightness_at((first_step + step) * 0.32), abs=5)


def test_a_short_clip_repeats_its_last_picture_and_its_sound_ends(tmp_path: Path) -> None:
    clip = prepared_clip(write_clip(tmp_path / "short.mp4", seconds=1.0), DEMO)
    np.testing.assert_array_equal(clip.pictures[0, 4:], np.repeat(clip.pictures[0, 3:4], 4, axis=0))
    assert len(np.unique(clip.pictures[0, :4].mean(axis=(1, 2, 3)))) == 4
    assert np.ptp(clip.sound[0, 60:]) == 0 and np.ptp(clip.sound[0, :40]) > 0.5


@pytest.mark.parametrize("sound", [True, False])
def test_a_track_that_is_not_there_is_zeros(sound: bool, tmp_path: Path) -> None:
    clip = prepared_clip(write_clip(tmp_path / "toy.mp4", with_audio=sound, with_video=not sound), DEMO)
    assert (clip.has_sound, clip.has_pictures) == (sound, not sound)
    assert bool(clip.sound.any()) == clip.has_sound and bool(clip.pictures.any()) == clip.has_pictures


def test_odd_spectrograms_are_refused(path: Path) -> None:
    odd = ClipPreparation(num_frames=8, pixels=64, spectrogram_frames=100, mel_bins=64)
    with pytest.raises(InputError, match="a spectrogram of 100 frames and 64 mel bins cannot be averaged"):
        prepared_clip(path, odd)
