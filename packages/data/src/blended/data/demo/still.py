"""What does not move of itself: hair, beard, neck and shoulders, and the light on wall and head."""

import cv2
import numpy as np
from numpy.typing import NDArray

from blended.data.demo.actors import Looks
from blended.data.demo.geometry import SIDES, Shapes
from blended.data.demo.signatures import Array

Picture = NDArray[np.uint8]
"""[height, width, BGR]."""

SHIFT = 4
"""Fractional bits of coordinates: OpenCV draws at a sixteenth of a pixel."""
UNLIT = 128
"""The value of a light map that leaves a pixel as it is."""
Offset = tuple[float, float]
"""Right and down, in face units."""


def backdrop(looks: Looks, size_px: int) -> Picture:
    """A wall, lighter at the top and where the lamp is."""
    down = np.linspace(0, 1, size_px)[:, None, None]
    wall = (1 - down) * np.array(looks.wall_top) + down * np.array(looks.wall_bottom)
    x = np.linspace(-1, 1, size_px)[None, :, None]
    y = np.linspace(-1, 1, size_px)[:, None, None]
    lamp = 1.06 - 0.16 * ((x - 0.6 * looks.light_side) ** 2 + 0.5 * (y + 0.4) ** 2)
    return np.clip(wall * lamp, 0, 255).astype(np.uint8)


def shading(looks: Looks, reference: Shapes, size_px: int) -> Picture:
    """The light map of a head at rest: factors for blue, green and red, times `UNLIT`."""
    scale = looks.scale * size_px
    points = {name: shape[0] for name, shape in reference.items()}
    face = _mask(points["face"], size_px)
    hair = _mask(points["hair front"], size_px) if "hair front" in points else 0 * face
    light = _form(looks, points["face"], face, hair, scale) * _features(points, size_px, scale)
    nose, middle = points["nose tip"].mean(axis=0), points["face"].mean(axis=0)
    light *= 1 + 0.10 * _glow(size_px, nose, scale, (0.0, -0.16), (0.04, 0.17))
    light *= 1 + 0.10 * _glow(size_px, middle, scale, (0.15 * looks.light_side, -0.5), (0.30, 0.18))
    crown = np.array([middle[0], points["face"][:, 1].min()])
    sheen = _glow(size_px, crown, scale, (0.2 * looks.light_side, 0.1), (0.34, 0.12))
    light *= 1 + 0.35 * hair[..., None] * sheen
    return np.clip(UNLIT * light, 0, 255).astype(np.uint8)


def _form(looks: Looks, outline: Array, face: Array, hair: Array, scale: float) -> Array:
    """Roundness: dark rims, one side lighter than the other, and the shadow of the chin on the neck."""
    size_px = len(face)
    head, bare = np.maximum(face, hair), face * (1 - hair)
    light = (1 - 0.40 * _rim(head, 0.15 * scale) * head) * (1 - 0.22 * _rim(bare, 0.08 * scale) * bare)
    across = np.clip((np.arange(size_px)[None] - outline[:, 0].mean()) / scale, -1, 1)
    light *= 1 + 0.20 * looks.light_side * across * head
    chin = cv2.GaussianBlur(_mask(outline + np.array([0, 0.16 * scale]), size_px), (0, 0), 0.07 * scale)
    light *= 1 - 0.40 * chin * (1 - head)
    return np.repeat(light[..., None], 3, axis=2)


def _features(points: dict[str, Array], size_px: int, scale: float) -> Array:
    """Dark eye sockets and warm cheeks."""
    light = np.ones((size_px, size_px, 3))
    for side, sign in SIDES.items():
        eye = points[f"{side} eye"].mean(axis=0)
        light *= 1 - 0.16 * _glow(size_px, eye, scale, (-sign * 0.03, -0.03), (0.20, 0.12))
        cheek = _glow(size_px, eye, scale, (sign * 0.09, 0.40), (0.17, 0.15))
        light *= 1 + cheek * np.array([-0.08, -0.05, 0.07])
    return light


def _rim(mask: Array, width_px: float) -> Array:
    """From 0 inside to about 1 at the edge of the mask."""
    return 1 - np.clip(cv2.GaussianBlur(mask, (0, 0), width_px) * 1.9 - 0.75, 0, 1)


def _mask(points: Array, size_px: int) -> Array:
    mask = np.zeros((size_px, size_px), np.uint8)
    cv2.fillPoly(mask, [np.round(points * (1 << SHIFT)).astype(np.int32)], (255,), cv2.LINE_AA, SHIFT)
    return mask.astype(np.float64) / 255


def _glow(size_px: int, origin: Array, scale: float, offset: Offset, radii: Offset) -> Array:
    """[height, width, 1]: a soft spot of height 1."""
    x = ((np.arange(size_px)[None] - origin[0]) / scale - offset[0]) / radii[0]
    y = ((np.arange(size_px)[:, None] - origin[1]) / scale - offset[1]) / radii[1]
    return np.exp(-0.5 * (x**2 + y**2))[..., None]


def still_shapes(looks: Looks, face_TN2: Array) -> Shapes:
    """Name -> [T, N, 2]; shapes that this actor does not have are left out."""
    num_frames = len(face_TN2)
    still = {"neck": _neck(looks), "shoulders": _shoulders()}
    if (back := _back(looks)) is not None:
        still["hair back"] = back
    if (front := _front(looks)) is not None:
        still["hair front"] = front
    found = {name: np.repeat(points[None], num_frames, axis=0) for name, points in still.items()}
    if looks.beard == "full":
        found["beard"] = _beard(looks, face_TN2)
    return found


def _neck(looks: Looks) -> Array:
    half = 0.62 * looks.half_width
    return np.array(
        [
            [-half, 0.4],
            [half, 0.4],
            [half * 1.05, 1.15],
            [half * 1.5, 1.45],
            [-half * 1.5, 1.45],
            [-half * 1.05, 1.15],
        ]
    )


def _shoulders() -> Array:
    along = np.linspace(-1, 1, 21)
    top = 1.20 + 0.42 * np.abs(along) ** 2.6 + 0.16 * np.exp(-((along / 0.24) ** 2))
    curve = np.stack([1.75 * along, top], axis=-1)
    return np.concatenate([curve, [[2.4, 1.95], [2.6, 3.4], [-2.6, 3.4], [-2.4, 1.95]]])


def _arc(centre_y: float, radius_x: float, radius_y: float, start: float, stop: float, count: int) -> Array:
    angle = np.linspace(start, stop, count)
    return np.stack([radius_x * np.cos(angle), centre_y + radius_y * np.sin(angle)], axis=-1)


def _back(looks: Looks) -> Array | None:
    width = looks.half_width
    if looks.haircut == "long":
        top = _arc(-0.12, width + 0.20, 1.05, np.pi, 2 * np.pi, 24)
        return np.concatenate(
            [top, [[width + 0.27, 0.6], [width + 0.2, 1.25], [-width - 0.2, 1.25], [-width - 0.27, 0.6]]]
        )
    if looks.haircut == "curly":
        angle = np.linspace(np.pi * 0.86, np.pi * 2.14, 120)
        radius = 1 + 0.035 * np.abs(np.sin(7.5 * angle))
        return np.stack(
            [(width + 0.26) * radius * np.cos(angle), -0.22 + 1.02 * radius * np.sin(angle)], axis=-1
        )
    if looks.haircut == "bun":
        return _arc(-1.16, 0.27, 0.25, 0.0, 2 * np.pi, 28)
    return None


def _front(looks: Looks) -> Array | None:
    if looks.haircut == "bald":
        return None
    width = looks.half_width
    volume = {"short": 0.07, "long": 0.08, "curly": 0.1, "bun": 0.03}[looks.haircut]
    low = {"short": -0.30, "long": -0.18, "curly": -0.30, "bun": -0.34}[looks.haircut]
    start = np.arcsin(low / (0.98 + volume))
    top = _arc(-0.03, width * 0.99 + volume, 0.98 + volume, np.pi - start, 2 * np.pi + start, 28)
    along = np.linspace(1, -1, 21)
    height = {"short": 0.34, "long": 0.40, "curly": 0.28, "bun": 0.46}[looks.haircut]
    # The parting lies to the side that the light comes from: any fixed trait of the actor would do.
    parting = 0.35 * np.sign(looks.light_side) if looks.haircut == "long" else 0.0
    line = low - height * (1 - np.abs((along - parting) / (1 + abs(parting))) ** 2.6)
    if looks.haircut == "curly":
        line = line + 0.03 * np.abs(np.sin(11 * along))
    hairline = np.stack([(width * 0.97) * along, line - 0.02], axis=-1)
    return np.concatenate([top, hairline])


def _beard(looks: Looks, face_TN2: Array) -> Array:
    """From ear to ear along the jaw; it follows the chin."""
    lower = face_TN2[:, (np.linspace(0, 2 * np.pi, 48, endpoint=False) <= np.pi)]
    outer = lower * np.array([1.015, 1.02])
    along = np.linspace(-1, 1, lower.shape[1])
    top = 0.30 + 0.08 * (1 - np.abs(along) ** 3) + 0.02 * np.cos(3 * np.pi * along)
    inner = np.stack([0.92 * looks.half_width * along, top], axis=-1)
    inner = np.repeat(inner[None], len(face_TN2), axis=0)
    return np.concatenate([outer, inner], axis=1)
