"""What an actor really does in one clip: the label, as realised with the noise of the moment."""

from dataclasses import dataclass

import numpy as np

from blended.data.demo.actors import Actor
from blended.data.demo.config import DemoConfig
from blended.data.demo.script import PERFORMANCE_STREAM, Take, random
from blended.data.demo.signatures import (
    EMOTIONS,
    FACE_BY_EMOTION,
    LAG_SECONDS_BY_EMOTION,
    VOICE_BY_EMOTION,
    Array,
)
from blended.data.demo.timeline import Timeline
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
