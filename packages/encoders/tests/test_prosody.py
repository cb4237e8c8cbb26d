"""Pitch of tones whose pitch is known, noise that has none, and indifference to level."""

import numpy as np
import pytest

from blended.data.media import Waveform
from blended.encoders.prosody import COLUMNS, ProsodyConfig

RATE_HZ = 16000
SECONDS = np.arange(RATE_HZ) / RATE_HZ


def tracks(samples: np.ndarray) -> dict[str, np.ndarray]:
    """Column name to its values over time."""
    features = ProsodyConfig().build().encode([Waveform(samples.astype(np.float32), RATE_HZ, 0.0)])
    return dict(zip(COLUMNS, features[0]["output"].values.T, strict=True))


def at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """Scaled to a root mean square in dB of full scale, and rounded to 16 bits as recordings are."""
    scaled = samples / np.sqrt(np.mean(samples**2)) * 10 ** (level_db / 20)
    return np.round(scaled * 32768) / 32768


def tone(kind: str, hz: float) -> np.ndarray:
    if kind == "sine":
        return np.sin(2 * np.pi * hz * SECONDS)
    harmonics = np.arange(1, int(7000 / hz))[:, None]
    if kind == "saw":
        return np.sum(np.sin(2 * np.pi * harmonics * hz * SECONDS) / harmonics, axis=0)
    # A vowel-like voice: the fundamental is far weaker than the harmonics near 700 Hz.
    formant = 0.02 + np.exp(-(((harmonics * hz - 700) / 200) ** 2))
    return np.sum(np.sin(2 * np.pi * harmonics * hz * SECONDS + harmonics) * formant, axis=0)


def hz_of(track: dict[str, np.ndarray]) -> np.ndarray:
    return 27.5 * 2 ** (track["f0_semitones"] / 12)


@pytest.mark.parametrize("level_db", [-10, -65])
@pytest.mark.parametrize("kind", ["sine", "saw", "vowel"])
@pytest.mark.parametrize("hz", [100, 137, 220, 300, 400, 800])
def test_pitch_of_tones_within_2_percent(hz: float, kind: str, level_db: float):
    track = tracks(at_level(tone(kind, hz), level_db))
    assert track["voiced"].all()
    np.testing.assert_allclose(hz_of(track), hz, rtol=0.02)
    np.testing.assert_allclose(track["energy_db"], level_db, atol=1.5)


def test_pitch_follows_a_glide_in_noise():
    hz = 150 * 2**SECONDS
    glide = np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ) + 0.5 * np.sin(4 * np.pi * np.cumsum(hz) / RATE_HZ)
    noise = np.random.default_rng(0).normal(size=RATE_HZ) * 0.2
    track = tracks(at_level(glide + noise, -60))
    centre = 150 * 2 ** (np.arange(len(track["voiced"])) * 0.01 + 0.025)
    wrong = (track["voiced"] == 0) | (np.abs(hz_of(track) / centre - 1) > 0.05)
    assert wrong.mean() < 0.02


@pytest.mark.parametrize("level_db", [-10, -65])
@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_noise_is_unvoiced(exponent: float, level_db: float):
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=RATE_HZ))
    noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** exponent)
    track = tracks(at_level(noise, level_db))
    assert not track["voiced"].any() and not track["f0_semitones"].any()


def test_only_energy_knows_the_level():
    voice = tone("vowel", 180) + np.random.default_rng(2).normal(size=RATE_HZ)
    loud, quiet = tracks(voice * 0.1), tracks(voice * 0.0001)
    for column in COLUMNS:
        change = quiet[column] - loud[column]
        np.testing.assert_allclose(change, -60 if column == "energy_db" else 0, atol=0.02, err_msg=column)


def test_harmonics_to_noise_ratio_of_a_known_mixture():
    # White noise at half the power of a tone, where the weight of pitch is even over frequency.
    noise = np.random.default_rng(3).normal(size=RATE_HZ)
    track = tracks(tone("sine", 500) + noise * np.sqrt(0.5) * 0.5)
    expected = 10 * np.log10(0.5 / (0.25 * 0.5))
    assert abs(np.median(track["hnr_db"]) - expected) < 1


def test_spectral_shape_of_known_spectra():
    rng = np.random.default_rng(4)
    spectrum = np.fft.rfft(rng.normal(size=RATE_HZ))
    white = tracks(np.fft.irfft(spectrum))
    falling = tracks(np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20)))
    assert abs(white["tilt_db_per_octave"].mean()) < 0.3
    assert abs(falling["tilt_db_per_octave"].mean() + 6.02) < 0.4
    assert abs(white["centroid_khz"].mean() - 4.03) < 0.1
    # The flatness of white noise is the logarithm's bias for an exponential variable: -2.51 dB.
    assert abs(white["flatness_db"].mean() + 2.51) < 0.2
    assert abs(tracks(tone("sine", 1000))["zero_crossings_khz"].mean() - 2) < 0.05
    assert abs(tracks(tone("sine", 1000))["centroid_khz"].mean() - 1) < 0.05


@pytest.mark.parametrize("num_samples", [0, 1, 799, 5000])
def test_silence_and_short_clips_are_finite(num_samples: int):
    track = tracks(np.zeros(num_samples))
    assert not track["voiced"].any()
    np.testing.assert_allclose(track["energy_db"], -120)
