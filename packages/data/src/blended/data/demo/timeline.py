"""How an expression rises and falls: a swell with bouts inside, for the face and, shifted, for the voice."""

from dataclasses import dataclass

import numpy as np

from blended.data.demo.signatures import Array

# A bout rises faster than it falls.
ATTACK_SECONDS, DECAY_SECONDS = 0.09, 0.20
FLOOR = 0.35
"""What is left of the expression between two bouts."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """When one clip rises, peaks and falls.

    The swell (onset, apex, offset) is common to face and voice; only the bouts are shifted against each
    other. Bouts start at a random phase and go on beyond both ends, so that where they lie in one
    modality says nothing about the lag: only the two together do.
    """

    num_seconds: float
    """Length of the clip."""
    onset_seconds: float
    """The swell is half up here."""
    offset_seconds: float
    """The swell is half down here."""
    bouts_seconds: Array
    """Peaks, ascending, from before the start to beyond the end of the clip."""

    @classmethod
    def draw(cls, rng: np.random.Generator, num_seconds: float) -> "Timeline":
        """A timeline; nothing in it depends on the label."""
        onset, offset = rng.uniform([0.06, 0.82], [0.16, 0.94]) * num_seconds
        period = rng.uniform(0.9, 1.25)
        num_bouts = int(num_seconds / period) + 6
        gaps = period * np.exp(0.08 * rng.standard_normal(num_bouts))
        start = -2 * period - rng.uniform(0, period)
        return cls(num_seconds, float(onset), float(offset), start + np.cumsum(gaps))

    def envelope(self, times_seconds: Array, delay_seconds: float) -> Array:
        """How far the expression has unfolded, about 0 to 1, with the bouts delayed."""
        rise = 0.045 * self.num_seconds
        swell = _sigmoid((times_seconds - self.onset_seconds) / rise) * _sigmoid(
            (self.offset_seconds - times_seconds) / rise
        )
        since = times_seconds[:, None] - self.bouts_seconds[None, :] - delay_seconds
        width = np.where(since < 0, ATTACK_SECONDS, DECAY_SECONDS)
        bouts = np.exp(-0.5 * (since / width) ** 2).max(axis=1)
        return swell * (FLOOR + (1 - FLOOR) * bouts)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def smooth_noise(rng: np.random.Generator, times_seconds: Array, rate_hz: float, columns: int) -> Array:
    """[time, columns]: slow noise of about unit variance, `rate_hz` independent values a second."""
    last = float(times_seconds[-1]) if len(times_seconds) else 0.0
    knots_seconds = np.arange(0, last + 3 / rate_hz, 1 / rate_hz)
    values = 1.22 * rng.standard_normal((len(knots_seconds), columns))
    return np.stack(
        [np.interp(times_seconds, knots_seconds, values[:, column]) for column in range(columns)], axis=1
    )
