"""How each part of the picture moves: dense optical flow, summarised on a grid.

Flow is DIS (Kroeger et al. 2016, "Fast optical flow using dense inverse search", ECCV), from OpenCV.

Shape suffixes: T step, H height, W width, R grid row, C grid column.
"""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
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
STATISTICS = ("dx", "dy", "speed", "divergence")


class MotionConfig(BaseModel):
    """Mean velocity, speed and divergence of every cell of a grid over the picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "Apache-2.0 (OpenCV)"

    name: Literal["motion"] = "motion"
    rate_hz: float = Field(default=12.5, gt=0, le=60)
    """Pictures compared per second."""
    grid: int = Field(default=6, ge=1, le=16)
    """Cells per side; the picture is scaled to 16 pixels per cell."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face, which takes its travel out; None for whole pictures."""

    @property
    def columns(self) -> tuple[str, ...]:
        """`dx_r0c0`, ...: statistic, then row (from the top) and column (from the left) of the cell."""
        cells = [f"r{row}c{column}" for row in range(self.grid) for column in range(self.grid)]
        return tuple(f"{statistic}_{cell}" for statistic in STATISTICS for cell in cells)

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Frames]:
        """An encoder of pictures into [time, 4 * grid * grid]; step k lies between pictures k and k + 1."""
        side = self.grid * CELL_PIXELS
        stream = pictures(self.rate_hz, (side, side), self.faces)
        return ClipEncoder(stream, self.columns, self.rate_hz, partial(motion, grid=self.grid))


def motion(frames: Frames, grid: int) -> Float32[np.ndarray, "step column"]:
    """Velocities in picture sides per second (x to the right, y down) and divergence per second.

    Divergence is positive where a cell grows, as around an opening mouth. One picture gives one step of
    zeros.
    """
    pictures_THW = grey(frames.values)
    side = pictures_THW.shape[1]
    if len(pictures_THW) < 2:
        return np.zeros((1, len(STATISTICS) * grid * grid), np.float32)
    dx_THW, dy_THW = np.ascontiguousarray(np.moveaxis(_flow(pictures_THW), -1, 0))
    spread_THW = np.gradient(dx_THW, axis=2) + np.gradient(dy_THW, axis=1)
    per_second = frames.rate_hz / side
    fields = (
        dx_THW * per_second,
        dy_THW * per_second,
        np.hypot(dx_THW, dy_THW) * per_second,
        spread_THW * frames.rate_hz,
    )
    return np.concatenate([_cell_means(field, grid) for field in fields], axis=1, dtype=np.float32)


def _cell_means(
    field_THW: Float32[np.ndarray, "step height width"], grid: int
) -> Float32[np.ndarray, "step cell"]:
    num_steps, height, width = field_THW.shape
    cells = field_THW.reshape(num_steps, grid, height // grid, grid, width // grid)
    return cells.mean(axis=(2, 4)).reshape(num_steps, grid * grid)


def _flow(
    pictures_THW: UInt8[np.ndarray, "time height width"],
) -> Float32[np.ndarray, "step height width 2"]:
    """[step, height, width, (dx, dy)] in pixels from each picture to the next."""
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    # Half instead of quarter resolution, without refinement: five times more exact for motions below a
    # pixel, which is what a face makes between two pictures, for 1.6 times the time.
    solver.setFinestScale(1)
    solver.setVariationalRefinementIterations(0)
    with _one_thread():
        pairs = pairwise(pictures_THW)
        # Without an initial guess, so that a step depends on its two pictures only.
        return np.stack([solver.calc(first, second, None) for first, second in pairs])  # pyright: ignore[reportCallIssue, reportArgumentType]


@contextmanager
def _one_thread() -> Generator[None]:
    """DIS cuts the picture into one stripe per thread, and stripes change its result."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
