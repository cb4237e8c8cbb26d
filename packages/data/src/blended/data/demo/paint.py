"""Drawing an actor: painted twice as large, shaded, and reduced to the picture.

Colours are blue, green, red. All shapes of a clip are computed beforehand, so that a picture costs a few
calls of OpenCV.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blended.data.demo.actors import Actor, Colour, Looks
from blended.data.demo.geometry import SIDES, Motion, Shapes, shapes, turned
from blended.data.demo.signatures import MOVEMENTS
from blended.data.demo.still import SHIFT, UNLIT, Picture, backdrop, shading, still_shapes

OVERSAMPLING = 2
TEMPLES, CHIN, CROWN = (0, 24), 12, 36
"""Points of the outline that carry the light along."""
GRAIN = 1.6
"""Standard deviation of the sensor's noise, in grey levels."""


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with a share of `other`."""
    (blue, green, red), (b, g, r), rest = one, other, 1 - share
    return rest * blue + share * b, rest * green + share * g, rest * red + share * r


def darker(colour: Colour, factor: float) -> Colour:
    """The colour scaled by `factor`; more than 1 is lighter."""
    blue, green, red = colour
    return min(255.0, factor * blue), min(255.0, factor * green), min(255.0, factor * red)


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of the painter."""

    shape: str
    colour: Colour
    thickness: float = 0.0
    """Of a line, in face units; 0 fills the shape."""
    fold: tuple[tuple[str, float], ...] = ()
    """A line whose strength is a weighted sum of movements, from 0 to 1; always drawn if empty."""


def layers(looks: Looks) -> list[Layer]:
    """What is drawn, from back to front."""
    skin, hair = looks.skin, looks.hair
    dark, line = darker(skin, 0.72), darker(skin, 0.60)
    lid = darker(skin, 0.93)
    found = [
        Layer("hair back", darker(hair, 0.75)),
        Layer("neck", darker(skin, 0.82)),
        Layer("shoulders", looks.shirt),
        Layer("left ear", darker(skin, 0.9)),
        Layer("right ear", darker(skin, 0.9)),
        Layer("face", skin),
    ]
    for side in SIDES:
        found += [
            Layer(f"{side} cheek fold", line, 0.028, (("cheek", 0.5), ("nose", 0.55), ("upper_lip", 0.15))),
            Layer(f"{side} crow", dark, 0.018, (("cheek", 0.7),)),
            Layer(f"{side} forehead", dark, 0.022, (("brow_inner", 0.65), ("brow_outer", 0.3))),
            Layer(f"{side} eye", (236.0, 238.0, 240.0)),
            Layer(f"{side} iris", looks.iris),
            Layer(f"{side} upper lid", lid),
            Layer(f"{side} lower lid", darker(skin, 0.97)),
            Layer(f"{side} crease", dark, 0.016),
            Layer(f"{side} bag", darker(skin, 0.86), 0.016),
            Layer(f"{side} lashes", (30.0, 30.0, 36.0), 0.030),
        ]
    found += [
        Layer("chin fold", darker(skin, 0.86), 0.022),
        Layer("beard", mixed(skin, darker(hair, 0.85), 0.8)),
        Layer("mouth shadow", darker(skin, 0.9)),
        Layer("nose bridge", darker(skin, 0.80), 0.022),
        Layer("left wing", darker(skin, 0.92)),
        Layer("right wing", darker(skin, 0.92)),
        Layer("nose tip", darker(skin, 1.03)),
        Layer("left nostril", darker(skin, 0.42)),
        Layer("right nostril", darker(skin, 0.42)),
        Layer("nose wrinkle 0", line, 0.02, (("nose", 0.9),)),
        Layer("nose wrinkle 1", line, 0.02, (("nose", 0.9),)),
        Layer("left frown", line, 0.024, (("brow_squeeze", 0.8),)),
        Layer("right frown", line, 0.024, (("brow_squeeze", 0.8),)),
        Layer("mouth", (34.0, 22.0, 52.0)),
        Layer("tongue", (92.0, 84.0, 176.0)),
        Layer("lower teeth", (196.0, 204.0, 208.0)),
        Layer("teeth", (232.0, 238.0, 240.0)),
        Layer("upper lip", darker(looks.lips, 0.88)),
        Layer("lower lip", looks.lips),
        Layer("lip shine", darker(looks.lips, 1.16), 0.018),
        Layer("lip line", darker(looks.lips, 0.55), 0.014),
    ]
    if looks.beard != "none":
        found.append(Layer("moustache", mixed(skin, darker(hair, 0.85), 0.85)))
    found += [
        Layer("left brow", mixed(skin, darker(hair, 0.6), 0.85)),
        Layer("right brow", mixed(skin, darker(hair, 0.6), 0.85)),
        Layer("hair front", hair),
    ]
    return found


class Painter:
    """Draws the clips of one actor; what does not change between them is prepared once."""

    def __init__(self, actor: Actor, frame_px: int) -> None:
        self.looks = actor.looks
        self.frame_px = frame_px
        self.canvas_px = frame_px * OVERSAMPLING
        self.layers = layers(actor.looks)
        self.backdrop = backdrop(actor.looks, self.canvas_px)
        still = Motion(np.zeros((1, len(MOVEMENTS))), np.zeros(1), np.zeros((1, 2)), np.zeros((1, 2)))
        self.reference = self._pixels(still)
        light = shading(actor.looks, self.reference, self.canvas_px)
        # Light is smooth: it is carried along in the size of the picture, at a quarter of the cost.
        self.shading = _reduced(light, frame_px)

    def pictures(self, motion: Motion, rng: np.random.Generator) -> Iterator[Picture]:
        """The pictures of one clip, with flicker of the light and grain of the sensor."""
        pixels = self._pixels(motion)
        fixed = {name: np.round(points * (1 << SHIFT)).astype(np.int32) for name, points in pixels.items()}
        size = self.frame_px
        grain = np.clip(8 + GRAIN * rng.standard_normal((size + 32, size + 32, 3)), 0, 255).astype(np.uint8)
        flicker = self.looks.light * (1 + 0.012 * np.cumsum(rng.standard_normal(len(motion.blink_T))) / 3)
        drawn = [
            (layer, fixed[layer.shape], _strength(layer, motion))
            for layer in self.layers
            if layer.shape in fixed
        ]
        for time, gain in enumerate(np.clip(flicker, 0.7, 1.25)):
            canvas = self.backdrop.copy()
            for layer, points, strength in drawn:
                self._draw(canvas, layer, points[time], strength[time])
            if self.looks.has_glasses:
                self._glasses(canvas, fixed, time)
            picture = self._shaded(_reduced(canvas, size), pixels, time)
            row, column = rng.integers(0, 32, 2)
            noise = grain[row : row + size, column : column + size]
            yield cv2.addWeighted(picture, float(gain), noise, 1.0, -8.0).astype(np.uint8, copy=False)

    def _pixels(self, motion: Motion) -> Shapes:
        found = shapes(self.looks, motion)
        found.update(still_shapes(self.looks, found["face"]))
        return turned(found, self.looks, motion, self.canvas_px)

    def _draw(self, canvas: Picture, layer: Layer, points: NDArray[np.int32], strength: float) -> None:
        scale = self.looks.scale * self.canvas_px
        if layer.shape.endswith("iris"):
            _draw_iris(canvas, points[0], layer.colour, scale)
        elif not layer.thickness:
            cv2.fillPoly(canvas, [points], layer.colour, cv2.LINE_AA, SHIFT)
        elif strength > 0.05:
            colour = mixed(self.looks.skin, layer.colour, strength)
            width = max(1, round(layer.thickness * scale))
            cv2.polylines(canvas, [points], False, colour, width, cv2.LINE_AA, SHIFT)

    def _shaded(self, picture: Picture, pixels: Shapes, time: int) -> Picture:
        """The picture times the light and shadow of the head, carried along with the face."""
        here, there = (
            (outline / OVERSAMPLING).astype(np.float32)
            for outline in (pixels["face"][time], self.reference["face"][0])
        )
        size, eyes = self.frame_px, round(float(here[list(TEMPLES), 1].mean()))
        light = np.empty_like(self.shading)
        # The skull is rigid and the jaw drops: the halves meet on the line between the temples.
        for half, anchor in ((slice(0, eyes), CROWN), (slice(eyes, size), CHIN)):
            points = [*TEMPLES, anchor]
            matrix = cv2.getAffineTransform(there[points], here[points])
            matrix[1, 2] -= half.start
            shape = (size, half.stop - half.start)
            light[half] = cv2.warpAffine(self.shading, matrix, shape, borderValue=(UNLIT,) * 3)
        return cv2.multiply(picture, light, scale=1 / UNLIT).astype(np.uint8, copy=False)

    def _glasses(self, canvas: Picture, fixed: dict[str, NDArray[np.int32]], time: int) -> None:
        scale = self.looks.scale * self.canvas_px
        width = max(1, round(0.022 * scale))
        radius = round((self.looks.eye_width + 0.075) * scale * (1 << SHIFT))
        centres = [np.round(fixed[f"{side} eye"][time].mean(axis=0)).astype(int) for side in SIDES]
        for centre in centres:
            cv2.ellipse(
                canvas,
                (int(centre[0]), int(centre[1])),
                (radius, round(0.85 * radius)),
                0,
                0,
                360,
                (38.0, 34.0, 40.0),
                width,
                cv2.LINE_AA,
                SHIFT,
            )
        bridge = np.array([centres[0] + [radius, 0], centres[1] - [radius, 0]], dtype=np.int32)
        cv2.polylines(canvas, [bridge], False, (38.0, 34.0, 40.0), width, cv2.LINE_AA, SHIFT)


def _reduced(canvas: Picture, size_px: int) -> Picture:
    return cv2.resize(canvas, (size_px, size_px), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _strength(layer: Layer, motion: Motion) -> list[float]:
    """Of a layer in every picture, 0 to 1: a fold shows as far as the face moves."""
    if not layer.fold:
        return [1.0] * len(motion.blink_T)
    total = sum(weight * motion[movement][:, 0] for movement, weight in layer.fold)
    return np.clip(total, 0.0, 1.0).tolist()


def _draw_iris(canvas: Picture, centre: NDArray[np.int32], colour: Colour, scale: float) -> None:
    x, y = int(centre[0]), int(centre[1])
    unit = scale * (1 << SHIFT)
    cv2.circle(canvas, (x, y), round(0.078 * unit), darker(colour, 0.55), -1, cv2.LINE_AA, SHIFT)
    cv2.circle(canvas, (x, y), round(0.064 * unit), colour, -1, cv2.LINE_AA, SHIFT)
    cv2.circle(canvas, (x, y), round(0.034 * unit), (16.0, 14.0, 18.0), -1, cv2.LINE_AA, SHIFT)
    glint = round(0.024 * unit)
    cv2.circle(
        canvas, (x - glint, y - glint), round(0.016 * unit), (250.0, 250.0, 250.0), -1, cv2.LINE_AA, SHIFT
    )
