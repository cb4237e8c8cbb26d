"""Optical flow of pictures that were moved by a known amount."""

import cv2
import numpy as np
import pytest

from blended.data.media import Frames
from blended.encoders.motion import MotionConfig

RATE_HZ = 12.5
SIDE = 96


def texture() -> np.ndarray:
    """[144, 144]: blobs, larger than the picture so that moving it brings in no border."""
    noise = np.random.default_rng(0).uniform(0, 255, (144, 144)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return (blurred - blurred.min()) / np.ptp(blurred) * 255


def warped(matrix: np.ndarray) -> np.ndarray:
    """[96, 96] seen through an affine map of pixel coordinates about the centre."""
    centred = matrix.copy()
    centred[:, 2] += 72 - matrix[:, :2] @ [72, 72]
    return cv2.warpAffine(texture(), centred, (144, 144), flags=cv2.INTER_CUBIC)[24:120, 24:120]


def cells(pictures: list[np.ndarray], grid: int = 6) -> dict[str, np.ndarray]:
    """Statistic to [step, row, column]."""
    stacked = np.clip(np.stack(pictures), 0, 255).astype(np.uint8)
    frames = Frames(np.repeat(stacked[..., None], 3, axis=3), RATE_HZ, 0.0)
    encoder = MotionConfig(grid=grid).build()
    features = encoder.encode([frames])[0]["output"]
    assert features.rate_hz == RATE_HZ and features.values.shape[1] == encoder.dim
    split = features.values.reshape(len(features.values), 4, grid, grid)
    return {name: split[:, place] for place, name in enumerate(("dx", "dy", "speed", "divergence"))}


@pytest.mark.parametrize(("dx", "dy"), [(2.0, 0.0), (0.0, -1.5), (0.5, 0.5), (-4.0, 3.0)])
def test_a_shift_is_measured_in_picture_sides_per_second(dx: float, dy: float):
    steps = [np.array([[1, 0, k * dx], [0, 1, k * dy]], np.float64) for k in range(3)]
    found = cells([warped(matrix) for matrix in steps])
    scale = RATE_HZ / SIDE
    inner = (slice(None), slice(1, 5), slice(1, 5))
    tolerance = 0.15 * scale
    np.testing.assert_allclose(found["dx"][inner], dx * scale, atol=tolerance)
    np.testing.assert_allclose(found["dy"][inner], dy * scale, atol=tolerance)
    np.testing.assert_allclose(found["speed"][inner], np.hypot(dx, dy) * scale, atol=tolerance)


def test_growth_is_positive_divergence():
    found = cells([warped(np.array([[s, 0, 0], [0, s, 0]])) for s in (1.0, 1.03)])
    # Both directions grow by 3 percent in a step.
    assert abs(found["divergence"][:, 1:5, 1:5].mean() / RATE_HZ - 0.06) < 0.01
    shrinking = cells([warped(np.array([[s, 0, 0], [0, s, 0]])) for s in (1.03, 1.0)])
    assert abs(shrinking["divergence"][:, 1:5, 1:5].mean() / RATE_HZ + 0.06) < 0.01


def test_a_still_picture_does_not_move():
    found = cells([warped(np.eye(2, 3))] * 3)
    assert all(np.abs(values).max() < 1e-3 for values in found.values())


def test_only_the_part_that_moves_moves():
    still = warped(np.eye(2, 3))
    moved = still.copy()
    moved[64:, 32:64] = warped(np.array([[1, 0, 0], [0, 1, 2.0]]))[64:, 32:64]
    dy = cells([still, moved])["dy"][0]
    assert dy[5, 2] > 0.15 and np.abs(dy[:2]).max() < 0.02


def test_one_picture_gives_one_step_of_zeros():
    found = cells([warped(np.eye(2, 3))])
    assert found["dx"].shape == (1, 6, 6) and not found["dx"].any()


def test_threads_do_not_change_the_result():
    pictures = [warped(np.array([[1, 0, k * 1.3], [0, 1, k * 0.7]])) for k in range(3)]
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(4)
        several = cells(pictures)
        assert cv2.getNumThreads() == 4
        cv2.setNumThreads(1)
        alone = cells(pictures)
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(several["dx"], alone["dx"])


def test_columns_are_named_by_cell():
    config = MotionConfig(grid=2)
    assert config.columns[:5] == ("dx_r0c0", "dx_r0c1", "dx_r1c0", "dx_r1c1", "dy_r0c0")
    assert len(config.columns) == config.build().dim == 16
