"""Following one face: what is planted is found, what is missing is counted."""

import numpy as np
import pytest

from blended.encoders.faces.detecting import Box, Track, follow

SECONDS = [k / 4 for k in range(20)]


def test_the_largest_face_that_stays_is_followed() -> None:
    small, large, passing = Box(10, 10, 20), Box(60, 40, 40), Box(0, 0, 100)
    found = [[small, large] if step != 7 else [small, passing] for step in range(20)]
    track = follow(SECONDS, found)
    assert track.num_searched == 20 and track.num_without == 1
    np.testing.assert_array_equal(track.boxes, np.tile([80.0, 60.0, 40.0], (19, 1)))
    assert 7 / 4 not in track.seconds


def test_a_face_that_moves_is_one_face() -> None:
    found = [[Box(3 * step, 2 * step, 40 + step)] for step in range(20)]
    track = follow(SECONDS, found)
    assert track.num_without == 0
    np.testing.assert_allclose(track.boxes[:, 0], [3 * k + 20 + k / 2 for k in range(20)])


def test_a_face_is_found_again_after_a_hole() -> None:
    found = [[Box(10, 10, 20)] if not 5 <= step < 15 else [] for step in range(20)]
    assert follow(SECONDS, found).num_without == 10


def test_two_faces_do_not_share_a_track() -> None:
    """The nearer of two detections continues it, the other begins another."""
    found = [[Box(10, 10, 20), Box(14, 10, 20)] for _ in range(20)]
    assert len(follow(SECONDS, found).seconds) == 20


def test_chance_is_no_face() -> None:
    once = [[Box(10, 10, 20)] if step == 3 else [] for step in range(8)]
    assert follow(SECONDS[:8], once).num_without == 8
    rarely = [[Box(10, 10, 20)] if step in (3, 4, 5) else [] for step in range(40)]
    assert len(follow([*range(40)], rarely).seconds) == 0
    only = follow([0.0], [[Box(10, 10, 20)]])
    assert only.num_without == 0


def test_no_face_at_all() -> None:
    track = follow(SECONDS, [[]] * 20)
    assert track.num_without == track.num_searched == 20 and track.boxes.shape == (0, 3)


def test_pixels_of_the_search_become_those_of_the_picture() -> None:
    track = follow([0.0], [[Box(10, 20, 30)]], scale=(2.0, 2.1))
    np.testing.assert_allclose(track.boxes, [[25 * 2.1, 35 * 2.0, 30 * 2.05]])


def plain_line(track: Track, seconds: float, deviation: float) -> list[float]:
    """Least squares with Gaussian weights and a small penalty on the slope, by numpy's solver."""
    apart = track.seconds - seconds
    root = np.sqrt(np.exp(-(apart**2) / (2 * deviation**2)))
    middle = (root**2 @ apart) / (root @ root)
    design = np.stack([np.ones_like(apart), apart - middle], axis=1) * root[:, None]
    penalty = np.array([[0.0, 0.2 * deviation * np.linalg.norm(root)]])
    rows = np.vstack([design, penalty])
    values = np.vstack([track.boxes * root[:, None], np.zeros((1, 3))])
    level, slope = np.linalg.lstsq(rows, values, rcond=None)[0]
    return list(level - slope * middle)


@pytest.mark.parametrize("seconds", [0.0, 0.6, 2.5, 4.75])
def test_the_box_is_on_a_weighted_line(seconds: float) -> None:
    rng = np.random.default_rng(0)
    track = Track(np.array(SECONDS), rng.uniform(10, 12, (20, 3)), 20)
    assert track.at(seconds, 0.3) == pytest.approx(plain_line(track, seconds, 0.3))


def test_an_even_movement_is_kept_up_to_the_ends() -> None:
    seconds = np.array(SECONDS)
    track = Track(seconds, np.stack([60 * seconds, 100 - 20 * seconds, 40 + seconds], axis=1), 20)
    for at in (0.0, 0.1, 2.3, 4.75, 4.9):
        assert track.at(at, 0.3) == pytest.approx((60 * at, 100 - 20 * at, 40 + at), abs=2.5)


def test_smoothing_takes_jitter_away() -> None:
    rng = np.random.default_rng(1)
    boxes = rng.normal([100, 80, 40], 2, (200, 3))
    track = Track(np.arange(200) / 4, boxes, 200)
    smooth = np.array([track.at(s, 0.5) for s in track.seconds[10:-10]])
    # A Gaussian of two steps averages about seven detections.
    assert (smooth.std(axis=0) < 2 / 2.2).all()
    np.testing.assert_allclose(smooth.mean(axis=0), [100, 80, 40], atol=0.5)


def test_in_a_hole_and_without_smoothing_the_nearest_detection_counts() -> None:
    track = Track(np.array([0.0, 100.0]), np.array([[1.0, 2, 3], [4, 5, 6]]), 2)
    assert track.at(40.0, 0.3) == pytest.approx((1, 2, 3))
    assert track.at(60.0, 0.0) == pytest.approx((4, 5, 6))
    assert track.at(-5.0, 0.3) == pytest.approx((1, 2, 3))
