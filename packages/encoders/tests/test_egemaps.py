"""openSMILE as an extra: used where it is installed, named where it is not."""

import sys

import numpy as np
import pytest

from blended.data import InputError
from blended.data.media import Waveform
from blended.encoders.egemaps import EGeMAPSConfig


def waveform(num_samples: int, hz: float = 220.0) -> Waveform:
    seconds = np.arange(num_samples) / 16000
    harmonics = [np.sin(2 * np.pi * hz * k * seconds) / k for k in range(1, 8)]
    return Waveform((0.1 * np.sum(harmonics, axis=0)).astype(np.float32), 16000, 0.0)


def test_functionals_have_88_named_columns():
    pytest.importorskip("opensmile")
    encoder = EGeMAPSConfig().build()
    features = encoder.encode([waveform(24000)])[0]["output"]
    assert features.values.shape == (1, 88) == (1, encoder.dim) and features.rate_hz == 0
    semitones = features.values[0, encoder.columns.index("F0semitoneFrom27.5Hz_sma3nz_amean")]
    assert abs(semitones - 12 * np.log2(220 / 27.5)) < 0.2


def test_descriptors_over_time():
    pytest.importorskip("opensmile")
    encoder = EGeMAPSConfig(level="lld").build()
    features = encoder.encode([waveform(24000)])[0]["output"]
    assert features.values.shape[1] == encoder.dim == 25 and features.rate_hz == 100
    assert abs(len(features.values) - 150) < 10


@pytest.mark.parametrize("num_samples", [0, 500, 2000])
def test_short_clips_are_finite(num_samples: int):
    pytest.importorskip("opensmile")
    assert EGeMAPSConfig().build().encode([waveform(num_samples)])[0]["output"].values.shape == (1, 88)


def test_a_missing_library_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(InputError, match=r'pip install "blended-encoders\[egemaps\]", or choose .* prosody'):
        EGeMAPSConfig().build()


def test_the_licence_is_said():
    assert "no commercial use" in EGeMAPSConfig.licence
