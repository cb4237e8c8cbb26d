"""The voiced share: tones and vowels have a pitch, noise and silence have none."""

import numpy as np
import pytest

from blended.data.measurement import voiced_share

RATE_HZ = 16000


def _vowel(pitch_hz: float | int, seconds: float | int = 1.0) -> np.ndarray:
    """A pulse train through one formant, at the loudness of BLEMORE's quietest voices."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    harmonics = range(1, int(4000 / pitch_hz))
    parts = [
        np.cos(2 * np.pi * k * pitch_hz * times) / (1 + abs(k * pitch_hz - 700) / 200) for k in harmonics
    ]
    return (5e-4 * np.sum(parts, axis=0)).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [80, 120, 220, 350, 480])
def test_vowels(pitch_hz: int) -> None:
    assert voiced_share(_vowel(pitch_hz), RATE_HZ) == 1.0


def test_noise_and_silence() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 5 * RATE_HZ).astype(np.float32)
    assert voiced_share(noise, RATE_HZ) < 0.05
    assert voiced_share(np.zeros(RATE_HZ, np.float32), RATE_HZ) == 0.0
    assert voiced_share(np.zeros(10, np.float32), RATE_HZ) == 0.0
    assert voiced_share(np.full(RATE_HZ, 0.1, np.float32), RATE_HZ) == 0.0


def test_half_a_voice() -> None:
    noise = np.random.default_rng(1).normal(0, 3e-4, RATE_HZ).astype(np.float32)
    assert voiced_share(np.concatenate([_vowel(150), noise]), RATE_HZ) == pytest.approx(0.5, abs=0.05)


def test_hum_below_a_voice_is_no_voice() -> None:
    times = np.arange(RATE_HZ) / RATE_HZ
    hum = (1e-6 * np.sin(2 * np.pi * 100 * times)).astype(np.float32)
    assert voiced_share(np.concatenate([_vowel(200), hum]), RATE_HZ) == pytest.approx(0.5, abs=0.05)
