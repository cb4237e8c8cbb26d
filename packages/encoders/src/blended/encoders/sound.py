"""Sound as encoders want it: overlapping windows, and the spectrogram of ImageBind and HiCMAE.

S spectrogram frame, F mel bin.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32


def at_least(values: Float32[np.ndarray, "sample"], num_samples: int) -> Float32[np.ndarray, "padded"]:
    """The signal, with silence after it if it is shorter than `num_samples`."""
    return np.pad(values, (0, max(0, num_samples - len(values))))


def windows(
    values: Float32[np.ndarray, "sample"], window: int, hop: int
) -> Float32[np.ndarray, "time window"]:
    """A view of the signal as windows of `window` samples, every `hop`; a short signal is padded to one.

    >>> windows(np.arange(6, dtype=np.float32), 4, 2)
    array([[0., 1., 2., 3.],
           [2., 3., 4., 5.]], dtype=float32)
    """
    return np.lib.stride_tricks.sliding_window_view(at_least(values, window), window)[::hop]


RATE_HZ = 16000
WINDOW_MS, HOP_MS = 25.0, 10.0
NUM_BINS = 128


def spectrogram(samples: Float32[np.ndarray, "sample"], num_frames: int) -> Float32[np.ndarray, "S F"]:
    """[num_frames, 128] log mel energies, 100 per second, of sound without its mean.

    Hann windows of 25 ms every 10 ms, no dither, no energy. Sound that is too short is followed by zeros, in
    the spectrogram and not in the sound, as both authors do it.
    """
    import torch
    from torchaudio.compliance import kaldi

    centred = at_least(samples - samples.mean(), round(RATE_HZ * WINDOW_MS / 1000))
    bank_SF = kaldi.fbank(
        torch.from_numpy(centred)[None],
        num_mel_bins=NUM_BINS,
        sample_frequency=RATE_HZ,
        frame_length=WINDOW_MS,
        frame_shift=HOP_MS,
        window_type="hanning",
        dither=0.0,
        htk_compat=True,
        use_energy=False,
    ).numpy()[:num_frames]
    return np.pad(bank_SF, ((0, num_frames - len(bank_SF)), (0, 0)))


def pieces(
    samples: Float32[np.ndarray, "sample"], spans: Sequence[tuple[float, float]]
) -> list[Float32[np.ndarray, "_"]]:
    """The sound between pairs of seconds; silence where there is none."""
    cut: list[Float32[np.ndarray, "_"]] = []
    for start_seconds, end_seconds in spans:
        first, last = max(0, round(start_seconds * RATE_HZ)), max(0, round(end_seconds * RATE_HZ))
        piece = samples[first:last]
        cut.append(piece if len(piece) else np.zeros(1, np.float32))
    return cut
