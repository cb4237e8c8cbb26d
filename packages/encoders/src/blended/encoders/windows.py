"""Cutting a signal into overlapping windows."""

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
