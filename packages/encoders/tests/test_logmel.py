"""The filter bank against one written from Kaldi's definition in plain numpy."""

import numpy as np
import pytest

from blended.data.media import Waveform
from blended.encoders.logmel import LogMelConfig


def plain_filter_bank(samples: np.ndarray, num_bins: int) -> np.ndarray:
    """Kaldi's recipe: 400 samples every 160, DC removed, pre-emphasis 0.97, Hann, 512-point power, mel."""
    mel = lambda hz: 1127.0 * np.log(1.0 + hz / 700.0)  # noqa: E731
    edges = np.linspace(mel(20.0), mel(8000.0), num_bins + 2)
    bins = mel(np.arange(256) * 16000 / 512)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400].astype(np.float64) * 32768
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
        power = np.abs(np.fft.rfft(frame * window, 512))[:256] ** 2
        rows.append(np.log(np.maximum(triangles @ power, np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize("num_bins", [64, 80])
@pytest.mark.parametrize("level_db", [-10, -65])
def test_against_a_plain_filter_bank(num_bins: int, level_db: float):
    rng = np.random.default_rng(0)
    samples = (rng.normal(size=8123) * 10 ** (level_db / 20)).astype(np.float32)
    encoder = LogMelConfig(num_bins=num_bins).build()
    features = encoder.encode([Waveform(samples, 16000, 0.0)])[0]["output"]
    assert features.rate_hz == 100 and features.values.shape[1] == encoder.dim == num_bins
    np.testing.assert_allclose(features.values, plain_filter_bank(samples, num_bins), atol=2e-3)


@pytest.mark.parametrize("num_samples", [0, 1, 399, 400])
def test_a_clip_shorter_than_a_window_gives_one_step(num_samples: int):
    encoder = LogMelConfig().build()
    waveform = Waveform(np.zeros(num_samples, np.float32), 16000, 0.0)
    assert encoder.encode([waveform])[0]["output"].values.shape == (1, 64)
