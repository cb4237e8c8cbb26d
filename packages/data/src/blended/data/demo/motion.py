"""From a performance to movement: expression over rest, blinks, glances and the sway of a living head."""

import numpy as np

from blended.data.demo.actors import Actor
from blended.data.demo.geometry import Motion
from blended.data.demo.performance import VIDEO_RATE_HZ, Performance
from blended.data.demo.signatures import MOVEMENTS, Array
from blended.data.demo.timeline import smooth_noise

WOBBLE = 0.06
"""Standard deviation of involuntary movement, in full movements."""
HEAD_WOBBLE = 0.10
BLINKS_PER_SECOND = 0.3
BLINK_SECONDS = 0.07
"""Standard deviation of a blink's bell shape in time."""


def move(performance: Performance, actor: Actor, rng: np.random.Generator) -> Motion:
    """The movements in every picture of a clip."""
    times_seconds = (np.arange(performance.num_frames) + 0.5) / VIDEO_RATE_HZ
    # Face and voice each take half of the lag, so that neither is bound to the clip more than the other.
    unfolded = performance.timeline.envelope(times_seconds, -performance.lag_seconds / 2)
    expression = actor.movement_MP @ performance.face_weights
    is_head = np.array([movement in ("pitch", "yaw", "roll") for movement in MOVEMENTS])
    wobble = smooth_noise(rng, times_seconds, 2.0, len(MOVEMENTS)) * np.where(is_head, HEAD_WOBBLE, WOBBLE)
    return Motion(
        movements_TM=actor.resting_M + unfolded[:, None] * expression + wobble,
        blink_T=_blinks(rng, times_seconds),
        gaze_T2=_gaze(rng, times_seconds),
        sway_T2=0.008 * smooth_noise(rng, times_seconds, 0.8, 2),
    )


def _blinks(rng: np.random.Generator, times_seconds: Array) -> Array:
    num_blinks = rng.poisson(BLINKS_PER_SECOND * (float(times_seconds[-1]) + 0.5))
    peaks_seconds = rng.uniform(0, float(times_seconds[-1]), num_blinks)
    closure = np.zeros(len(times_seconds))
    for peak in peaks_seconds:
        closure = np.maximum(closure, 1.15 * np.exp(-0.5 * ((times_seconds - peak) / BLINK_SECONDS) ** 2))
    return np.clip(closure, 0, 1)


def _gaze(rng: np.random.Generator, times_seconds: Array) -> Array:
    """Glances: the eyes rest and jump."""
    num_glances = 1 + rng.poisson(0.8 * float(times_seconds[-1]))
    starts_seconds = np.sort(rng.uniform(0, float(times_seconds[-1]), num_glances))
    targets = np.clip(0.35 * rng.standard_normal((num_glances + 1, 2)), -1, 1)
    return targets[np.searchsorted(starts_seconds, times_seconds)]
