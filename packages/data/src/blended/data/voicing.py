"""How much of a sound is voiced: a cheap test for the presence of a pitch, made for an index."""

import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS = 0.04
"""Two periods and more of the lowest pitch."""
LOWEST_HZ, HIGHEST_HZ = 70.0, 500.0

VOICED_ABOVE = 0.5
"""Peak of the normalised autocorrelation; white noise stays below 0.35 in almost every frame."""

# Enough for a pitch and its first harmonics; it halves the work and keeps hiss out.
ENOUGH_HZ = 8000

# Relative to the loudest frame: the hum of a quiet room has a pitch, too.
QUIETER_BY_DB = 40.0
# Digital silence and its rounding.
FLOOR_POWER = 1e-11


def voiced_share(values: NDArray[np.float32], rate_hz: int) -> float:
    """Share of 40 ms frames of [sample] in which a pitch is heard, in [0, 1].

    A frame is voiced where its autocorrelation, divided by its energy and by the overlap that is left at a
    lag, has a local maximum above 0.5 between 2 ms (500 Hz) and 14 ms (70 Hz), and where it is not 40 dB
    below the loudest frame. After Boersma (1993), without interpolation and without a path over frames: good
    for finding recordings without a voice, not for following a pitch.

    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    >>> voiced_share(tone, 16000), voiced_share(np.zeros(16000, np.float32), 16000)
    (1.0, 0.0)
    """
    step = max(1, rate_hz // ENOUGH_HZ)
    values = _averaged(values, step)
    rate_hz //= step
    length = round(FRAME_SECONDS * rate_hz)
    num_frames = len(values) // length
    if not num_frames:
        return 0.0
    frames = values[: num_frames * length].reshape(num_frames, length)
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = (frames**2).mean(axis=1)
    loud = (power > FLOOR_POWER) & (power > power.max() * 10 ** (-QUIETER_BY_DB / 10))
    return float(np.count_nonzero(_has_pitch(frames[loud], rate_hz)) / num_frames) if loud.any() else 0.0


def _averaged(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """[sample // step] means of every `step` samples; numpy takes ten times as long over so short an axis."""
    whole = values[: len(values) // step * step]
    parts = np.stack([whole[start::step] for start in range(step)])
    return parts.sum(axis=0, dtype=np.float32) / np.float32(step)


def _has_pitch(frames: NDArray[np.float32], rate_hz: int) -> NDArray[np.bool_]:
    """[frame] from [frame, sample], none of them silent."""
    import scipy.fft  # as slow to import as everything else that an index needs

    length = frames.shape[1]
    shortest, longest = int(rate_hz / HIGHEST_HZ), int(rate_hz / LOWEST_HZ)
    # Zeros up to the longest lag keep the end of a frame from meeting its beginning.
    size = scipy.fft.next_fast_len(length + longest + 1, real=True)
    spectrum = np.asarray(scipy.fft.rfft(frames, n=size, axis=1))
    correlation = np.asarray(scipy.fft.irfft(spectrum * spectrum.conj(), n=size, axis=1))
    overlap = 1 - np.arange(longest + 2) / length
    similar = correlation[:, : longest + 2] / (correlation[:, :1] * overlap)
    inner = similar[:, shortest : longest + 1]
    peak = (inner >= similar[:, shortest - 1 : longest]) & (inner >= similar[:, shortest + 1 : longest + 2])
    return (peak & (inner > VOICED_ABOVE)).any(axis=1)
