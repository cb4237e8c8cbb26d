"""How each part of the picture looks: which way its edges run, on a grid of cells.

Histograms of oriented gradients (Dalal and Triggs 2005, "Histograms of oriented gradients for human
detection", CVPR), with votes shared linearly between neighbouring orientations and cells, every cell
normalised by itself, and square roots (Arandjelovic and Zisserman 2012) against single strong edges. They
are computed here because OpenCV 5 moved its own out of the main modules.

Shape suffixes: T time, H height, W width, R grid row, C grid column, O orientation.
"""

from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Frames
from blended.encoders.encoder import ClipEncoder, Modality
from blended.encoders.faces import Faces, pictures
from blended.encoders.pictures import grey

CELL_PIXELS = 16

# Mean gradient of a cell, in contrasts of the picture per pixel, below which it counts as noise: a flat
# cell gives small values instead of a random histogram blown up to length 1.
NOISE_GRADIENT = 0.01


class FaceConfig(BaseModel):
    """A histogram of edge directions for every cell of the picture, most of which a face should fill."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "Apache-2.0"

    name: Literal["face"] = "face"
    rate_hz: float = Field(default=12.5, gt=0, le=60)
    """Pictures described per second."""
    grid: int = Field(default=6, ge=1, le=16)
    """Cells per side; the picture is scaled to 16 pixels per cell."""
    num_orientations: int = Field(default=6, ge=2, le=18)
    """Directions of the gradient between 0 and 180 degrees; the first is horizontal, an upright edge."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""

    @property
    def columns(self) -> tuple[str, ...]:
        """`r0c0_0deg`, ...: row and column of the cell, then the direction of the gradient."""
        cells = [f"r{row}c{column}" for row in range(self.grid) for column in range(self.grid)]
        degrees = [f"{180 * number / self.num_orientations:g}deg" for number in range(self.num_orientations)]
        return tuple(f"{cell}_{angle}" for cell in cells for angle in degrees)

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Frames]:
        """An encoder of pictures into [time, grid * grid * num_orientations]."""
        side = self.grid * CELL_PIXELS
        function = partial(histograms, num_orientations=self.num_orientations)
        stream = pictures(self.rate_hz, (side, side), self.faces)
        return ClipEncoder(stream, self.columns, self.rate_hz, function)


def histograms(frames: Frames, num_orientations: int) -> Float32[np.ndarray, "time column"]:
    """Values in [0, 1], the same for a picture with other lighting; zeros for one without any contrast."""
    pictures_THW = grey(frames.values)
    strength_THW, place_THW = _gradients(pictures_THW, num_orientations)
    share_WC = _shares(pictures_THW.shape[1])
    cells: list[Float32[np.ndarray, "time row column"]] = []
    for orientation in range(num_orientations):
        apart_THW = np.abs(place_THW - orientation)
        apart_THW = np.minimum(apart_THW, num_orientations - apart_THW)
        votes_THW = strength_THW * np.maximum(0, 1 - apart_THW)
        cells.append(share_WC.T @ votes_THW @ share_WC)
    h_TRCO = np.stack(cells, axis=-1)
    noise = NOISE_GRADIENT * CELL_PIXELS**2
    h_TRCO /= np.sqrt(np.sum(h_TRCO**2, axis=-1, keepdims=True) + noise**2)
    return np.sqrt(h_TRCO).reshape(len(h_TRCO), -1)


def _gradients(
    pictures_THW: UInt8[np.ndarray, "time height width"], num_orientations: int
) -> tuple[Float32[np.ndarray, "time height width"], Float32[np.ndarray, "time height width"]]:
    """Strength, in standard deviations of the picture per pixel, and direction, from 0 to `num_orientations`.

    Central differences, 0 at the border.
    """
    x_THW = pictures_THW.astype(np.float32)
    x_THW /= 2 * np.maximum(x_THW.std(axis=(1, 2), keepdims=True), 1.0)
    dx_THW, dy_THW = np.zeros_like(x_THW), np.zeros_like(x_THW)
    dx_THW[:, :, 1:-1] = x_THW[:, :, 2:] - x_THW[:, :, :-2]
    dy_THW[:, 1:-1] = x_THW[:, 2:] - x_THW[:, :-2]
    # As one tall picture. Good to 0.3 degrees, and several times faster than numpy's arc tangent.
    flat = (-1, x_THW.shape[2])
    strength, angle = cv2.cartToPolar(dx_THW.reshape(flat), dy_THW.reshape(flat))
    place = angle * np.float32(num_orientations / np.pi) % np.float32(num_orientations)
    return strength.reshape(x_THW.shape), place.reshape(x_THW.shape)


def _shares(side: int) -> Float32[np.ndarray, "pixel cell"]:
    """How much of a pixel's vote goes to each cell along one side: all at the centre, none a cell away."""
    centres = (np.arange(side // CELL_PIXELS) + 0.5) * CELL_PIXELS - 0.5
    apart = np.abs(np.arange(side)[:, None] - centres) / CELL_PIXELS
    return np.maximum(0, 1 - apart).astype(np.float32)
