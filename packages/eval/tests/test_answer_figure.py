"""The picture of one answer."""

import numpy as np

from blended.data import Mixture
from blended.eval.figures.clips import PANEL_HEIGHT_PX, Course, answer_figure, panel
from blended.eval.figures.style import png

EMOTIONS = ("ang", "disg", "fea", "hap", "sad", "neu")
ROW = np.array([0.5, 0.3, 0.1, 0.05, 0.05, 0.0])
BLEND = Mixture({"ang": 70, "disg": 30})


def test_shares_stand_beside_the_decided_bars_only() -> None:
    figure = answer_figure("clip", EMOTIONS, ROW, BLEND)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [text.split() for text in texts[:3]] == [["0.50", "70", "%"], ["0.30", "30", "%"], ["0.10"]]


def test_picture_and_course_are_drawn_on_request() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    course = Course(np.array([1.5, 2.5, 3.5]), np.stack([ROW, ROW[::-1], ROW]))
    figure = answer_figure("clip", EMOTIONS, ROW, BLEND, picture=picture, course=course, note="a note")
    assert len(figure.axes) == 3
    assert len(figure.axes[2].lines) == 6
    assert png(figure, dots_per_inch=60).startswith(b"\x89PNG")


def test_a_panel_has_the_width_of_its_video() -> None:
    strip = panel(320, "0 to 3 s", EMOTIONS, ROW, Mixture.single("ang"))
    assert strip.shape == (PANEL_HEIGHT_PX, 320, 3) and strip.dtype == np.uint8
    assert strip.min() < 100 and strip.max() == 255
