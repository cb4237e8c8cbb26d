"""Light and shadow that do not change between the pictures of an actor: on the wall and on the head."""

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
