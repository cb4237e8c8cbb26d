"""The detector on real pictures that come with scikit-image."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from blended.encoders.faces.detecting import SHARP_PX, Box, find_faces, overlap, search_size


def searched(picture: np.ndarray, smallest: float = 0.2) -> np.ndarray:
    height, width = search_size(*picture.shape[:2], smallest)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("smallest", [0.1, 0.2])
def test_a_portrait_has_one_face_where_its_eyes_and_mouth_are(smallest: float) -> None:
    picture = data.astronaut()
    small = searched(picture, smallest)
    surest = find_faces(small)[0]
    scale = picture.shape[0] / small.shape[0]
    left, top, side = (value * scale for value in surest[:3])
    # Read off the picture: pupils at (202, 102) and (248, 102), the mouth's middle at (223, 144).
    for x, y in ((202, 102), (248, 102), (223, 144)):
        assert left < x < left + side and top < y < top + side
    assert 80 < side < 140


@pytest.mark.parametrize("name", ["coffee", "camera", "coins", "text", "brick", "grass", "moon"])
def test_pictures_without_a_frontal_face_have_none(name: str) -> None:
    picture = getattr(data, name)()
    colour = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    assert find_faces(searched(colour)) == []


def test_most_faces_in_the_wild_and_no_other_cut_out() -> None:
    """100 faces and 100 pieces of background from Labeled Faces in the Wild, 25 pixels large."""
    counts = [0, 0]
    for number, piece in enumerate(data.lfw_subset()):
        large = cv2.resize((piece * 255).astype(np.uint8), (75, 75), interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, 10, 10, 10, 10, cv2.BORDER_REPLICATE)
        counts[number // 100] += bool(find_faces(np.repeat(framed[..., None], 3, axis=2)))
    assert counts[0] >= 90 and counts[1] == 0


@given(sides=st.tuples(*[st.integers(0, 12)] * 4, st.integers(1, 9), st.integers(1, 9)))
def test_overlap_is_a_count_of_pixels(sides: tuple[int, ...]) -> None:
    x, y, left, top, side, other = sides
    one, two = np.zeros((2, 24, 24), bool)
    one[y : y + side, x : x + side] = True
    two[top : top + other, left : left + other] = True
    expected = (one & two).sum() / (one | two).sum()
    assert overlap(Box(x, y, side), Box(left, top, other)) == pytest.approx(expected)


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (1920, 1080), (144, 144), (30, 40)])
def test_the_smallest_wanted_face_is_as_large_as_the_detector_needs(height: int, width: int) -> None:
    rows, columns = search_size(height, width, 0.2)
    assert min(rows, columns) * 0.2 == pytest.approx(SHARP_PX, rel=0.02)
    assert rows / columns == pytest.approx(height / width, rel=0.02)
