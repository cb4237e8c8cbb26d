"""From movements to shapes: the outlines of a face, for all pictures of a clip at once.

Shapes are [time, point, xy] in units of half the height of the face, origin in its middle, y down.
Legend: T time, N points.
"""

from dataclasses import dataclass

import numpy as np

from blended.data.demo.actors import Looks
from blended.data.demo.signatures import MOVEMENTS, Array

Shapes = dict[str, Array]
"""Name -> [T, N, 2]."""

SIDES = {"left": -1.0, "right": 1.0}
"""As seen in the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Everything that moves, over time."""

    movements_TM: Array
    """[time, movement]: amounts of `MOVEMENTS`, 1 is full."""
    blink_T: Array
    """[time]: closure of the eyes, 0 to 1."""
    gaze_T2: Array
    """[time, xy]: where the eyes look, -1 to 1."""
    sway_T2: Array
    """[time, xy]: drift of the body, in face units."""

    def __getitem__(self, movement: str) -> Array:
        """[time, 1]: one movement, limited to what a face can do."""
        return np.clip(self.movements_TM[:, MOVEMENTS.index(movement), None], -1.7, 1.9)


def shapes(looks: Looks, motion: Motion) -> Shapes:
    """Every shape of the face, straight ahead; the head is turned by `turned`."""
    found: Shapes = {"face": _outline(looks, motion), **_mouth(looks, motion), **_nose(looks, motion)}
    for side, sign in SIDES.items():
        found[f"{side} brow"] = _brow(looks, motion, sign)
        found[f"{side} ear"] = _ear(looks, motion, sign)
        found.update(_eye(looks, motion, side, sign))
        found.update(_folds(looks, motion, side, sign))
    num_frames = len(motion.blink_T)
    return {name: np.broadcast_to(points, (num_frames, *points.shape[1:])) for name, points in found.items()}


def _join(x: Array, y: Array) -> Array:
    """[T, N, 2] from two arrays that broadcast to [T, N]; T is 1 where nothing moves."""
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def _band(upper: Array, lower: Array) -> Array:
    """The closed shape between two curves that run the same way."""
    return np.concatenate([upper, lower[:, ::-1]], axis=1)


def _outline(looks: Looks, motion: Motion) -> Array:
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)[None]
    down = np.clip(np.sin(angle), 0, 1)
    width = looks.half_width * (1 - looks.jaw * down**2.2) * (1 + 0.03 * motion["lip_stretch"] * down)
    y = np.where(np.sin(angle) < 0, 0.96, 1.0) * np.sin(angle)
    drop = np.clip(motion["jaw"], -0.1, 2) * 0.13 * np.clip((y - 0.3) / 0.7, 0, 1)
    x = width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.88
    return _join(x, y + drop)


def _ear(looks: Looks, motion: Motion, sign: float) -> Array:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)[None]
    x = sign * (looks.half_width * 0.99 + 0.42 * looks.ear * np.cos(angle))
    y = looks.eye_y + 0.14 + looks.ear * np.sin(angle)
    return _join(x, y)


def _brow(looks: Looks, motion: Motion, sign: float) -> Array:
    along = np.linspace(0, 1, 8)[None]
    inner, outer, squeeze = motion["brow_inner"], motion["brow_outer"], motion["brow_squeeze"]
    x = looks.eye_dx - 0.52 * looks.brow_length + looks.brow_length * along - 0.06 * squeeze * (1 - along)
    y = looks.eye_y - looks.brow_gap - looks.brow_arch * 4 * along * (1 - along)
    y = y + looks.brow_slope * (along - 0.5) - 0.105 * inner * (1 - along) ** 1.4 - 0.10 * outer * along
    # A lowered brow stops above the eye.
    y = np.minimum(y, looks.eye_y - looks.eye_open - 0.02)
    half = 0.5 * looks.brow_thickness * (1 - 0.65 * along**2)
    return _band(_join(sign * x, y - half), _join(sign * x, y + half))


def _eye(looks: Looks, motion: Motion, side: str, sign: float) -> Shapes:
    across = np.linspace(-1, 1, 13)[None]
    arch = (1 - across**2) ** 0.8
    x = sign * looks.eye_dx + looks.eye_width * across
    opening = looks.eye_open * np.clip(1 + 0.55 * motion["lid"] - 0.22 * motion["cheek"], 0.36, 2)
    base = looks.eye_y + looks.eye_tilt * across * sign
    bottom = base + 0.72 * opening * arch - 0.03 * np.clip(motion["cheek"], 0, 2) * arch
    top = base - 1.1 * opening * arch
    closed = base + 0.6 * looks.eye_open * arch
    blink = motion.blink_T[:, None]
    bottom = np.maximum(bottom, top + 0.01) + blink * (closed - bottom)
    top = top + blink * (closed - top)
    crease = np.minimum(base - (1.25 * looks.eye_open + 0.05) * (1 - 0.9 * across**2), top - 0.015)
    bag = np.maximum(base + (looks.eye_open + 0.06) * (1 - 0.9 * across**2), bottom + 0.015)
    centre_x = sign * looks.eye_dx + 0.045 * motion.gaze_T2[:, :1]
    centre_y = looks.eye_y + 0.02 * motion.gaze_T2[:, 1:] - 0.008
    top_P, bottom_P = _join(x, top), _join(x, bottom)
    return {
        f"{side} eye": _band(top_P, bottom_P),
        f"{side} iris": _join(centre_x, centre_y),
        f"{side} upper lid": _band(_join(x, crease), top_P),
        f"{side} lower lid": _band(bottom_P, _join(x, bag)),
        f"{side} lashes": top_P,
        f"{side} crease": _join(x, crease)[:, 2:-2],
        f"{side} bag": _join(x, bag)[:, 3:-3],
    }


def _nose(looks: Looks, motion: Motion) -> Shapes:
    lift = 0.045 * np.clip(motion["nose"], -0.5, 2)
    flare = 1 + 0.16 * np.clip(motion["nose"], -0.5, 2)
    tip_y = looks.eye_y + looks.nose_length - lift
    wing = looks.nose_width * flare
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)[None]
    found: Shapes = {"nose tip": _join(0.85 * wing * np.cos(angle), tip_y + 0.075 * np.sin(angle))}
    for side, sign in SIDES.items():
        found[f"{side} wing"] = _join(
            sign * 0.82 * wing + 0.05 * np.cos(angle), tip_y + 0.02 + 0.055 * np.sin(angle)
        )
        found[f"{side} nostril"] = _join(
            sign * 0.48 * wing + 0.036 * np.cos(angle), tip_y + 0.055 + 0.022 * np.sin(angle)
        )
    along = np.linspace(0, 1, 7)[None]
    found["nose bridge"] = _join(
        (0.05 + (0.82 * wing - 0.05) * along**2.2), looks.eye_y + 0.02 + (tip_y - looks.eye_y - 0.05) * along
    )
    across = np.linspace(-1, 1, 7)[None]
    for number in range(2):
        y = looks.eye_y + 0.03 + 0.065 * number + 0.03 * across**2
        found[f"nose wrinkle {number}"] = _join(0.075 * across, y - 0.3 * lift)
    found["mouth shadow"] = _join(0.06 * np.cos(angle), tip_y + 0.12 + 0.03 * np.sin(angle))
    return found


def _mouth(looks: Looks, motion: Motion) -> Shapes:
    across = np.linspace(-1, 1, 17)[None]
    arch = np.clip(1 - across**2, 0, 1)
    corner, raised = motion["lip_corner"], motion["upper_lip"]
    jaw = np.clip(motion["jaw"], 0, 2)
    half_width = looks.mouth_width * (1 + 0.26 * motion["lip_stretch"] + 0.05 * corner - 0.06 * jaw)
    x = half_width * across
    bend = (-0.125 * corner + 0.04 * jaw) * across**2 + 0.02 * corner
    lift = 0.055 * np.clip(raised, -0.4, 2)
    upper = looks.mouth_y + bend - lift * arch**0.6
    gap = np.maximum(0.006, 0.20 * jaw + 0.35 * np.clip(lift, 0, 1))
    lower = np.maximum(upper, looks.mouth_y + bend + (gap - 0.4 * lift) * arch**0.75)
    cupid = 1 - 0.3 * np.exp(-((across / 0.14) ** 2))
    fullness = 1 - 0.15 * np.clip(motion["lip_stretch"], -1, 1.5)
    lip_top = upper - looks.upper_lip * fullness * arch**0.55 * cupid - 0.004
    lip_bottom = lower + looks.lower_lip * fullness * arch**0.6 + 0.004
    teeth = np.minimum(upper + 0.075, lower)
    lower_teeth = np.maximum(lower - 0.028, teeth)
    tongue = np.minimum(np.maximum(lower - 0.07 * arch, teeth + 0.02), lower)
    wide, narrow = slice(2, -2), slice(4, -4)
    return {
        "upper lip": _band(_join(x, lip_top), _join(x, upper)),
        "lower lip": _band(_join(x, lower), _join(x, lip_bottom)),
        "mouth": _band(_join(x, upper), _join(x, lower)),
        "teeth": _band(_join(x, upper)[:, wide], _join(x, teeth)[:, wide]),
        "lower teeth": _band(_join(x, lower_teeth)[:, narrow], _join(x, lower)[:, narrow]),
        "tongue": _band(_join(x, tongue)[:, narrow], _join(x, lower)[:, narrow]),
        "lip line": _join(x, upper),
        "lip shine": _join(x, lower + 0.4 * looks.lower_lip)[:, 6:-6],
        "chin fold": _join(x, lip_bottom + 0.06)[:, 5:-5],
        "moustache": _band(
            _join(1.15 * x, lip_top - 0.075 + 0.07 * across**2), _join(1.15 * x, lip_top + 0.012)
        ),
    }


def _folds(looks: Looks, motion: Motion, side: str, sign: float) -> Shapes:
    """Lines that come and go with a movement; `paint.py` gives them their strength."""
    along = np.linspace(0, 1, 8)[None]
    half_width = looks.mouth_width * (1 + 0.26 * motion["lip_stretch"])
    start_x, start_y = looks.nose_width * 1.05, looks.eye_y + looks.nose_length - 0.04
    end_x = half_width + 0.08
    end_y = looks.mouth_y - 0.06 * motion["lip_corner"] + 0.02
    bulge = 0.05 * np.sin(np.pi * along) * (1 + np.clip(motion["cheek"], -0.5, 1.5))
    frown_x = 0.045 + 0.015 * along
    frown_y = looks.eye_y - looks.brow_gap - 0.10 + 0.17 * along
    return {
        f"{side} cheek fold": _join(
            sign * (start_x + (end_x - start_x) * along + bulge), start_y + (end_y - start_y) * along
        ),
        f"{side} frown": _join(sign * frown_x, frown_y),
        f"{side} crow": _join(
            sign * (looks.eye_dx + looks.eye_width * 1.12 + 0.09 * along),
            looks.eye_y + 0.02 + 0.07 * along,
        ),
        f"{side} forehead": _join(
            sign * (0.30 * along + 0.02),
            looks.eye_y - looks.brow_gap - 0.17 - 0.05 * np.sin(np.pi * along * 0.6),
        ),
    }


def turned(found: Shapes, looks: Looks, motion: Motion, frame_px: int) -> Shapes:
    """The shapes in pixels: features slide over the head with pitch and yaw, all of it rolls and sways."""
    roll = np.deg2rad(5.5) * motion["roll"]
    cosine, sine = np.cos(roll), np.sin(roll)
    scale = looks.scale * frame_px
    origin = np.array([looks.centre_x, looks.centre_y]) * frame_px
    pixels: Shapes = {}
    for name, points in found.items():
        depth = depth_of(name)
        x = points[..., 0] + 0.085 * depth * motion["yaw"]
        y = points[..., 1] + 0.075 * depth * motion["pitch"] - 0.9
        moved = np.stack([cosine * x - sine * y, sine * x + cosine * y + 0.9], axis=-1)
        pixels[name] = origin + scale * (moved + motion.sway_T2[:, None])
    return pixels


def depth_of(name: str) -> float:
    """How far a shape stands out of the head: 0 on its outline, 1 eyes and mouth, more the nose."""
    if name in ("face", "hair front"):
        return 0.25
    if "ear" in name and "beard" not in name:
        return -0.5
    if "nose" in name or "wing" in name or "nostril" in name:
        return 1.5
    return {"neck": 0.0, "shoulders": 0.0, "hair back": -0.6, "beard": 0.5}.get(name, 1.0)
