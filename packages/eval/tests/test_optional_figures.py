"""Figures that not every run has: enrolment, importance, agreement of intensities."""

import numpy as np
import pytest

from blended.data import LabelSpace
from blended.eval.enrolment_curve import EnrolmentPoint
from blended.eval.estimate import Estimate
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.figures import (
    NARROW_INCHES,
    WIDE_INCHES,
    agreement_figure,
    enrolment_figure,
    importance_figure,
    png,
)
from blended.eval.figures.agreement import agreement_of
from blended.eval.protocol import Protocol
from blended.eval.run_record import RunRecord

WIDTHS = pytest.mark.parametrize("width", [WIDE_INCHES, NARROW_INCHES])


def estimate(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half)


def point(clips: str, drawn: str, score: float) -> EnrolmentPoint:
    return EnrolmentPoint(clips, drawn, 2 if drawn else 1, estimate(score), estimate(score - 0.2))


CURVE = [
    point("none", "", 0.2),
    *(point(str(k), "any", 0.1 + 0.02 * step) for step, k in enumerate((2, 4, 8))),
    *(point(str(k), "few sets", 0.08 + 0.02 * step) for step, k in enumerate((2, 4, 8))),
    point("all", "", 0.28),
]


def test_where_enrolment_hurts_is_crossed_and_where_it_may_help_hollow() -> None:
    points = [
        EnrolmentPoint("none", "", 1, Estimate(0.2, 0.1, 0.3), Estimate(0.0, 0.0, 0.0)),
        EnrolmentPoint("1", "any", 2, Estimate(0.1, 0.0, 0.2), Estimate(-0.1, -0.2, -0.01)),
        EnrolmentPoint("2", "any", 2, Estimate(0.2, 0.1, 0.3), Estimate(0.0, -0.1, 0.1)),
        EnrolmentPoint("4", "any", 2, Estimate(0.3, 0.2, 0.4), Estimate(0.1, 0.01, 0.2)),
        EnrolmentPoint("all", "", 1, Estimate(0.3, 0.2, 0.4), Estimate(0.1, 0.01, 0.2)),
    ]
    (axes,) = enrolment_figure(points).axes
    marked = {
        (line.get_marker(), line.get_markerfacecolor() == "white"): np.asarray(line.get_xdata())
        .round()
        .tolist()
        for line in axes.lines
        if line.get_linestyle() == "None" and line.get_marker() in ("X", "o")
    }
    assert {kind: x for kind, x in marked.items() if x} == {
        ("X", False): [0], ("o", True): [1], ("o", False): [2],
    }  # fmt: skip


@WIDTHS
def test_enrolment_has_a_line_per_way_of_drawing_and_the_level_without(width: float) -> None:
    figure = enrolment_figure(CURVE, width_inches=width)
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "4", "8", "all"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "no normalisation, with its interval",
        "clips drawn at random",
        "clips of as few emotions as possible",
        "all clips, with the one judged",
    ]
    drawn = [np.array(container.lines[0].get_ydata(), dtype=float) for container in axes.containers]  # pyright: ignore[reportAttributeAccessIssue]
    assert [list(np.round(line, 3)) for line in drawn] == [[0.1, 0.12, 0.14], [0.08, 0.1, 0.12], [0.28]]
    assert png(figure).startswith(b"\x89PNG")


@WIDTHS
def test_importance_is_bold_where_it_is_more_than_noise(width: float) -> None:
    table = {
        "face": {"ang+hap": estimate(0.05), "fea+sad": estimate(0.01)},
        "prosody": {"ang+hap": estimate(-0.04), "fea+sad": 0.002},
        "motion": {"ang+hap": 0.0},
    }
    figure = importance_figure(table, width_inches=width)
    (axes,) = figure.axes
    words = {text.get_text(): text.get_fontweight() for text in axes.texts}
    assert words == {
        "5.0": "bold", "1.0": "normal", "\N{MINUS SIGN}4.0": "bold", "0.2": "normal", "0.0": "normal",
        "\N{EN DASH}": "normal",
    }  # fmt: skip
    rows = [tick.get_text() for tick in axes.get_yticklabels()]
    assert rows == (["face", "prosody", "motion"] if width == WIDE_INCHES else ["ang+hap", "fea+sad"])
    assert png(figure).startswith(b"\x89PNG")


@WIDTHS
def test_agreement_puts_the_best_emotion_on_top(width: float) -> None:
    rng = np.random.default_rng(0)
    actors = np.arange(60) % 6
    truth = rng.random((60, 3))
    given = truth + rng.normal(size=truth.shape) * (0.9, 0.05, 0.3)
    space = LabelSpace(("awe", "joy", "dread"), "intensities")
    evidence = Evidence(given[:, None], actors, actors % 2, space)
    evaluation, ids = evaluate(evidence, truth, Protocol("thresholds")), tuple(map(str, range(60)))
    found = agreement_of(
        RunRecord("one", "linear", (), (), truth, ids, actors, actors % 2, evaluation, task="intensities"),
        space,
    )
    figure = agreement_figure(found, width_inches=width)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["awe", "dread", "joy"]
    assert png(figure).startswith(b"\x89PNG")
