"""The appearance descriptor against votes cast pixel by pixel, and on pictures with known edges."""

import math

import cv2
import numpy as np
import pytest

from blended.data.media import Frames
from blended.encoders.face import NOISE_GRADIENT, FaceConfig
from blended.encoders.pictures import grey


def frames(num_frames: int, side: int) -> Frames:
    values = np.random.default_rng(0).integers(0, 256, (num_frames, side, side, 3)).astype(np.uint8)
    return Frames(values, 12.5, 0.0)


def plain_histograms(picture: np.ndarray, grid: int, num_orientations: int) -> np.ndarray:
    """Every pixel votes for two orientations and up to four cells."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    luma = luma / luma.std()
    votes = np.zeros((grid, grid, num_orientations))
    side = len(luma)
    for y in range(side):
        for x in range(side):
            dx = (luma[y, x + 1] - luma[y, x - 1]) / 2 if 0 < x < side - 1 else 0.0
            dy = (luma[y + 1, x] - luma[y - 1, x]) / 2 if 0 < y < side - 1 else 0.0
            place = math.degrees(math.atan2(dy, dx)) % 180 / (180 / num_orientations)
            low = int(place)
            for row in range(grid):
                for column in range(grid):
                    near_y = max(0, 1 - abs(y - row * 16 - 7.5) / 16)
                    near_x = max(0, 1 - abs(x - column * 16 - 7.5) / 16)
                    vote = near_y * near_x * math.hypot(dx, dy)
                    votes[row, column, low % num_orientations] += vote * (1 - place + low)
                    votes[row, column, (low + 1) % num_orientations] += vote * (place - low)
    lengths = np.sqrt((votes**2).sum(axis=-1, keepdims=True) + (NOISE_GRADIENT * 256) ** 2)
    return np.sqrt(votes / lengths).ravel()


@pytest.mark.parametrize("num_orientations", [4, 6])
def test_against_votes_cast_pixel_by_pixel(num_orientations: int):
    item = frames(2, 32)
    config = FaceConfig(grid=2, num_orientations=num_orientations)
    encoder = config.build()
    features = encoder.encode([item])[0]["output"]
    assert features.values.shape == (2, encoder.dim) == (2, 4 * num_orientations)
    assert features.rate_hz == 12.5
    expected = [plain_histograms(picture, 2, num_orientations) for picture in item.values]
    np.testing.assert_allclose(features.values, expected, atol=2e-4)


@pytest.mark.parametrize(("degrees", "number"), [(0, 0), (30, 1), (90, 3), (150, 5)])
def test_waves_fall_into_their_direction(degrees: float, number: int):
    y, x = np.mgrid[:96, :96]
    along = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    picture = (127 + 100 * np.sin(along / 3)).astype(np.uint8)
    values = FaceConfig().build().encode([Frames(np.repeat(picture[None, ..., None], 3, 3), 12.5, 0.0)])
    cells = values[0]["output"].values.reshape(36, 6)
    assert (cells.argmax(axis=1) == number).all() and (cells[:, number] > 0.98).all()


def test_lighting_does_not_matter_and_a_flat_picture_is_zero():
    item = frames(1, 96)
    dimmed = Frames((item.values // 4 * 2 + 20).astype(np.uint8), 12.5, 0.0)
    bright = Frames((item.values // 4 * 4).astype(np.uint8), 12.5, 0.0)
    flat = Frames(np.full((1, 96, 96, 3), 77, np.uint8), 12.5, 0.0)
    encoded = FaceConfig().build().encode([dimmed, bright, flat])
    first, second, third = (each["output"].values for each in encoded)
    np.testing.assert_allclose(first, second, atol=0.02)
    assert not third.any()


def test_grey_is_the_same_picture_by_picture():
    item = frames(4, 10)
    expected = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in item.values]
    np.testing.assert_array_equal(grey(item.values), expected)
    np.testing.assert_array_equal(grey(item.values[:, ::-1]), np.stack(expected)[:, ::-1])


def test_columns_name_the_cell_and_the_direction():
    assert FaceConfig(grid=2, num_orientations=4).columns[:5] == (
        "r0c0_0deg",
        "r0c0_45deg",
        "r0c0_90deg",
        "r0c0_135deg",
        "r0c1_0deg",
    )
