"""What an actor really does in one clip: the label, as realised with the noise of the moment.

An expression rises and falls in a swell with bouts inside, for the face and, shifted, for the voice; with
blinks, glances and the sway of a living head it becomes movement.
"""

from dataclasses import dataclass

import numpy as np

from blended.data.demo.actors import Actor
from blended.data.demo.config import DemoConfig
from blended.data.demo.geometry import Motion
from blended.data.demo.script import PERFORMANCE_STREAM, Take, random
from blended.data.demo.signatures import (
    EMOTIONS,
    FACE_BY_EMOTION,
    LAG_SECONDS_BY_EMOTION,
    MOVEMENTS,
    VOICE_BY_EMOTION,
    Array,
)
from blended.data.labels import Mixture

VIDEO_RATE_HZ = 25

STRENGTH_OF_LEVEL = {1: 0.55, 2: 0.75, 3: 0.95, 4: 1.15}
"""Intensity levels of single emotions; neutral has no pattern that they could scale."""
STRENGTH_OF_BLEND = 0.95
STRENGTH_NOISE = 0.12
"""Standard deviation of the logarithm of the strength, common to face and voice."""
FACE_NOISE = 0.13
"""Standard deviation of the realised weight of every facial pattern."""
VOICE_NOISE = 0.13
"""Standard deviation of the realised weight of every kind of voice."""
LAG_NOISE_SECONDS = 0.045
UNVOICED_SHARE, UNVOICED_SHARE_NEUTRAL = 0.38, 0.66
"""Probability of a clip without any voiced frame, as measured on BLEMORE."""


# A bout rises faster than it falls.
ATTACK_SECONDS, DECAY_SECONDS = 0.09, 0.20
FLOOR = 0.35
"""What is left of the expression between two bouts."""

WOBBLE = 0.06
"""Standard deviation of involuntary movement, in full movements."""
HEAD_WOBBLE = 0.10
BLINKS_PER_SECOND = 0.3
BLINK_SECONDS = 0.07
"""Standard deviation of a blink's bell shape in time."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """The clean generating parameters of one clip; what the oracle sees."""

    face_weights: Array
    """[pattern] of `FACES`, about -0.4 to 2: strength x share x the actor's gain, plus noise."""
    voice_weights: Array
    """[kind] of `VOICES`, likewise."""
    lag_seconds: float
    """The voice's bouts follow the face's by this much."""
    is_voiced: bool
    """False: whispered or breathed, no glottal source anywhere."""
    timeline: Timeline
    """When the expression rises and falls."""
    num_frames: int
    """Length in pictures at `VIDEO_RATE_HZ`."""


def shares_of(mixture: Mixture) -> Array:
    """[emotion]: shares from 0 to 1."""
    shares = dict(mixture.shares)
    return np.array([shares.get(emotion, 0.0) / 100 for emotion in EMOTIONS])


def strengths_of(mixture: Mixture) -> tuple[float, ...]:
    """The equally likely strengths of a label whose level is not known."""
    return (STRENGTH_OF_BLEND,) if mixture.is_blend else tuple(STRENGTH_OF_LEVEL.values())


def unvoiced_share(mixture: Mixture) -> float:
    """Probability that a clip with this label is unvoiced."""
    return UNVOICED_SHARE_NEUTRAL if "neu" in mixture.emotions else UNVOICED_SHARE


def perform(config: DemoConfig, take: Take, actor: Actor) -> Performance:
    """Draws what happens in one clip."""
    rng = random(config, PERFORMANCE_STREAM, take.actor_index, take.number)
    shares = shares_of(take.mixture)
    level = STRENGTH_OF_BLEND if take.mixture.is_blend else STRENGTH_OF_LEVEL[take.level]
    strength = level * float(np.exp(STRENGTH_NOISE * rng.standard_normal()))
    face = actor.face_gain * strength * FACE_BY_EMOTION @ shares
    voice = actor.voice_gain * strength * VOICE_BY_EMOTION @ shares
    num_seconds = config.min_seconds + (config.max_seconds - config.min_seconds) * rng.beta(2, 3)
    num_frames = round(num_seconds * VIDEO_RATE_HZ)
    return Performance(
        face_weights=face + FACE_NOISE * rng.standard_normal(len(face)),
        voice_weights=voice + VOICE_NOISE * rng.standard_normal(len(voice)),
        lag_seconds=float(LAG_SECONDS_BY_EMOTION @ shares + LAG_NOISE_SECONDS * rng.standard_normal()),
        is_voiced=bool(rng.random() >= unvoiced_share(take.mixture)),
        timeline=Timeline.draw(rng, num_frames / VIDEO_RATE_HZ),
        num_frames=num_frames,
    )


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
