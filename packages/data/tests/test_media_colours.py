"""Colours of decoded frames against their definition, the quick way and the exact one."""

from collections.abc import Generator

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blended.data.media import colours
from blended.data.media.colours import QUICK_WITHIN, Painter, chart, quick_is_right

BT601 = 5


@pytest.fixture
def asked_anew() -> Generator[None]:
    quick_is_right.cache_clear()
    yield
    quick_is_right.cache_clear()


def _defined(y: int, cb: int, cr: int) -> list[float]:
    """Red, green and blue of one sample: the matrix of ITU-R BT.601 for limited range, as it is printed."""
    luma, b, r = 1.164383 * (y - 16), cb - 128, cr - 128
    rgb = (luma + 1.596027 * r, luma - 0.391762 * b - 0.812968 * r, luma + 2.017232 * b)
    return [min(255.0, max(0.0, value)) for value in rgb]


def _frame(planes: list[NDArray[np.uint8]]) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.colorspace, frame.color_range = BT601, 1
    for plane, samples in zip(frame.planes, planes, strict=True):
        padded = np.zeros((len(samples), plane.line_size), np.uint8)
        padded[:, : samples.shape[1]] = samples
        plane.update(padded.tobytes())
    return frame


@settings(max_examples=40, deadline=None)
@given(half_height=st.integers(1, 20), width=st.integers(1, 90), seed=st.integers(0, 999))
def test_any_even_height_and_any_width(half_height: int, width: int, seed: int) -> None:
    """Processors do many pixels at once, and the last ones by other means."""
    random = np.random.default_rng(seed)
    shapes = [(2 * half_height, width), *[(half_height, (width + 1) // 2)] * 2]
    planes = [random.integers(16, 236, shape).astype(np.uint8) for shape in shapes]
    picture = np.zeros((2 * half_height, width, 3), np.uint8)
    Painter().paint(_frame(planes), picture)
    for row, column in {(0, 0), (2 * half_height - 1, width - 1), (half_height, width // 2)}:
        y, cb, cr = (int(planes[0][row, column]), *(int(p[row // 2, column // 2]) for p in planes[1:]))
        assert (abs(picture[row, column] - np.array(_defined(y, cb, cr))) <= QUICK_WITHIN).all()


def test_the_chart_is_what_it_says() -> None:
    frame, expected = chart(BT601)
    samples = frame.to_ndarray()
    assert samples.shape[1] == frame.width == expected.shape[1]
    y, cb, cr = (np.frombuffer(bytes(p), np.uint8).reshape(-1, p.line_size) for p in frame.planes)
    for row, column in ((0, 0), (77, 301), (frame.height - 1, frame.width - 1), (40, 8)):
        at = (int(y[row, column]), int(cb[row // 2, column // 2]), int(cr[row // 2, column // 2]))
        assert expected[row, column] == pytest.approx(_defined(*at), abs=0.01)


@pytest.mark.parametrize(
    "sample", [(16, 128, 128), (235, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110)]
)
def test_where_quick_is_not_right_colours_are_exact(
    sample: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = _frame(
        [
            np.full((16 // part, 16 // part), value, np.uint8)
            for part, value in zip((1, 2, 2), sample, strict=True)
        ]
    )
    picture = np.zeros((16, 16, 3), np.uint8)
    monkeypatch.setattr(colours, "quick_is_right", lambda: False)
    Painter().paint(frame, picture)
    assert np.abs(picture - np.array(_defined(*sample))).max() <= 0.51


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("levels", [-2, 1])
def test_another_rounding_of_this_machine_is_found_out(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(frame: av.VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
        packed = reformatter.reformat(frame, format="rgb24", interpolation=colours.ROUNDED_DOWN)
        return (packed.to_ndarray().astype(int) + levels).clip(0, 255).astype(np.uint8)

    monkeypatch.setattr(colours, "rounded_down", planted)
    assert not quick_is_right()
