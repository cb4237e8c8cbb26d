"""The cast: how every actor looks, moves and sounds. Drawn so wide that identity dominates every feature."""

from dataclasses import dataclass

import numpy as np

from blended.data.demo.config import DemoConfig
from blended.data.demo.script import ACTOR_STREAM, random
from blended.data.demo.signatures import MOVEMENT_BY_FACE, MOVEMENTS, VOICES, Array

Colour = tuple[float, float, float]
"""Blue, green, red from 0 to 255."""

SKINS: tuple[Colour, ...] = (
    (196.0, 214.0, 242.0),
    (176.0, 200.0, 236.0),
    (158.0, 184.0, 226.0),
    (130.0, 160.0, 208.0),
    (104.0, 136.0, 186.0),
    (82.0, 112.0, 158.0),
    (64.0, 88.0, 128.0),
    (52.0, 70.0, 102.0),
)
HAIRS: tuple[Colour, ...] = (
    (34.0, 30.0, 32.0),
    (40.0, 52.0, 74.0),
    (46.0, 66.0, 104.0),
    (60.0, 104.0, 158.0),
    (104.0, 158.0, 206.0),
    (52.0, 72.0, 146.0),
    (146.0, 146.0, 150.0),
    (200.0, 200.0, 204.0),
)
IRISES: tuple[Colour, ...] = (
    (60.0, 80.0, 110.0),
    (48.0, 62.0, 84.0),
    (150.0, 120.0, 80.0),
    (110.0, 130.0, 96.0),
    (130.0, 104.0, 90.0),
)
SHIRTS: tuple[Colour, ...] = (
    (150.0, 110.0, 60.0),
    (80.0, 80.0, 170.0),
    (110.0, 140.0, 70.0),
    (60.0, 60.0, 66.0),
    (190.0, 190.0, 196.0),
    (140.0, 80.0, 130.0),
    (70.0, 150.0, 200.0),
    (100.0, 60.0, 40.0),
)
HAIRCUTS = ("short", "long", "curly", "bun", "bald")
BEARDS = ("none", "none", "none", "full", "moustache")

COLOUR_HZ = (150.0, 350.0, 800.0, 1600.0, 2800.0, 4200.0, 6000.0)
"""Centres of the bands in which the sound of actors differs."""

RESTING_SPREAD = 0.42
"""Standard deviation of the resting pose, in full movements: faces at rest differ as much as expressions."""
IDIOSYNCRASY = 0.16
"""Standard deviation of how an actor's own patterns deviate from the common ones, in full movements."""


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Geometry in units of half the height of the face, origin between the eyes and the mouth."""

    half_width: float
    """Of the face at its widest, 0.66 to 0.84."""
    jaw: float
    """How much the face narrows towards the chin, 0.1 to 0.42."""
    eye_y: float
    eye_dx: float
    """Distance of each eye from the middle."""
    eye_width: float
    eye_open: float
    eye_tilt: float
    brow_gap: float
    brow_length: float
    brow_thickness: float
    brow_arch: float
    brow_slope: float
    nose_length: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    ear: float
    scale: float
    """Half the height of the face in frame heights."""
    centre_x: float
    """Position of the face in frame widths."""
    centre_y: float
    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    lips: Colour
    wall_top: Colour
    wall_bottom: Colour
    haircut: str
    """One of `HAIRCUTS`."""
    beard: str
    """One of `BEARDS`."""
    has_glasses: bool
    light_side: float
    """The key light comes from the left (-1) to the right (1)."""
    light: float
    """Brightness of the scene, about 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """The actor's voice and microphone."""

    pitch_hz: float
    """Of the voice at rest, 85 to 260."""
    formant_scale: float
    """Vocal tract: formants are multiplied by this, 0.84 to 1.2."""
    formants_hz: Array
    """[3] of the breath and voice at rest, before scaling."""
    tilt_db: float
    """Slope of the spectrum per octave above 1 kHz."""
    colour_db: Array
    """[band] of `COLOUR_HZ`: what room, microphone and vocal tract do to the spectrum."""
    breathiness: float
    """Share of noise in a voiced sound, 0 to 1."""
    loudness_db: float
    """Level of an expression of strength 1, in dB re full scale (RMS)."""
    hiss_db: float
    """Level of the microphone's noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """Everything that stays the same in the clips of one actor."""

    index: int
    looks: Looks
    sound: Sound
    face_gain: float
    """Expressivity of the face, about 1."""
    voice_gain: float
    """Expressivity of the voice, about 1."""
    resting_M: Array
    """[movement]: the pose at rest."""
    movement_MP: Array
    """[movement, pattern]: the actor's own version of every facial pattern."""
    timbre_K: Array
    """[kind]: pitch deviation of every kind of voice, in semitones."""


def cast(config: DemoConfig, index: int) -> Actor:
    """The actor with this index."""
    rng = random(config, ACTOR_STREAM, index)
    num_patterns = MOVEMENT_BY_FACE.shape[1]
    own = IDIOSYNCRASY * rng.standard_normal((len(MOVEMENTS), num_patterns))
    return Actor(
        index=index,
        looks=_looks(rng),
        sound=_sound(rng),
        face_gain=_gain(rng),
        voice_gain=_gain(rng),
        resting_M=np.clip(RESTING_SPREAD * rng.standard_normal(len(MOVEMENTS)), -0.8, 0.8) * _RESTING_SCALE,
        movement_MP=MOVEMENT_BY_FACE + own,
        timbre_K=1.0 * rng.standard_normal(len(VOICES)),
    )


# A jaw or a nose that rests half way up would read as an expression of its own.
_RESTING_SCALE = np.array([{"jaw": 0.12, "nose": 0.2, "upper_lip": 0.3}.get(move, 1.0) for move in MOVEMENTS])


def _gain(rng: np.random.Generator) -> float:
    return float(np.clip(np.exp(0.2 * rng.standard_normal()), 0.7, 1.45))


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float) -> Colour:
    blue, green, red = np.clip(colours[rng.integers(len(colours))] + spread * rng.standard_normal(3), 8, 250)
    return float(blue), float(green), float(red)


def _looks(rng: np.random.Generator) -> Looks:
    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    skin = _pick(rng, SKINS, 4.0)
    wall = np.array(
        _pick(
            rng,
            ((190.0, 180.0, 160.0), (150.0, 160.0, 150.0), (120.0, 110.0, 110.0), (170.0, 150.0, 150.0)),
            25.0,
        )
    )
    return Looks(
        half_width=between(0.66, 0.84),
        jaw=between(0.10, 0.40),
        eye_y=between(-0.17, -0.05),
        eye_dx=between(0.28, 0.36),
        eye_width=between(0.135, 0.185),
        eye_open=between(0.062, 0.098),
        eye_tilt=between(-0.02, 0.03),
        brow_gap=between(0.17, 0.25),
        brow_length=between(0.30, 0.40),
        brow_thickness=between(0.035, 0.075),
        brow_arch=between(0.01, 0.07),
        brow_slope=between(-0.05, 0.05),
        nose_length=between(0.34, 0.46),
        nose_width=between(0.10, 0.165),
        mouth_y=between(0.50, 0.60),
        mouth_width=between(0.25, 0.34),
        upper_lip=between(0.035, 0.065),
        lower_lip=between(0.05, 0.09),
        ear=between(0.15, 0.24),
        scale=between(0.31, 0.375),
        centre_x=between(0.44, 0.56),
        centre_y=between(0.47, 0.53),
        skin=skin,
        hair=_pick(rng, HAIRS, 8.0),
        iris=_pick(rng, IRISES, 10.0),
        shirt=_pick(rng, SHIRTS, 15.0),
        lips=_blend(skin, (96.0, 84.0, 190.0), between(0.28, 0.5)),
        wall_top=_colour(wall * between(0.95, 1.2)),
        wall_bottom=_colour(wall * between(0.6, 0.85)),
        haircut=HAIRCUTS[rng.choice(len(HAIRCUTS), p=[0.3, 0.28, 0.18, 0.14, 0.1])],
        beard=BEARDS[rng.integers(len(BEARDS))],
        has_glasses=bool(rng.random() < 0.22),
        light_side=between(-1.0, 1.0),
        light=between(0.85, 1.08),
    )


def _colour(values: Array) -> Colour:
    blue, green, red = np.clip(values, 0, 255)
    return float(blue), float(green), float(red)


def _blend(one: Colour, other: Colour, share: float) -> Colour:
    return _colour((1 - share) * np.array(one) + share * np.array(other))


def _sound(rng: np.random.Generator) -> Sound:
    pitch_hz = float(np.exp(rng.uniform(np.log(88), np.log(250))))
    # Small speakers tend to have high voices and short vocal tracts, but not always.
    size = 0.62 * (np.log(pitch_hz / 148) / 0.3) + 0.78 * rng.standard_normal()
    return Sound(
        pitch_hz=pitch_hz,
        formant_scale=float(np.clip(np.exp(0.075 * size), 0.84, 1.2)),
        formants_hz=np.array([560, 1500, 2550]) * np.exp(0.08 * rng.standard_normal(3)),
        tilt_db=float(rng.uniform(-5, -1)),
        colour_db=9.0 * rng.standard_normal(len(COLOUR_HZ)),
        breathiness=float(rng.uniform(0.15, 0.5)),
        loudness_db=float(np.clip(-59.5 + 6.0 * rng.standard_normal(), -68, -44)),
        hiss_db=float(rng.uniform(-94, -88)),
    )
