"""Long timelines on a terminal."""

from pathlib import Path

import numpy as np
import pytest

from blended.data import Mixture
from blended.studies.answers import Answer, Prediction
from blended.studies.commands.prediction_view import print_predictions, shares_in_words, stretches

ANGRY, SAD = Mixture.single("ang"), Mixture({"sad": 70, "ang": 30})


def answer(start: float, decided: Mixture, p: float) -> Answer:
    row = np.array([p, 1 - p])
    return Answer(start, start + 3.0, decided, row, row)


def test_neighbours_with_one_decision_are_one_stretch() -> None:
    timeline = [
        answer(0.0, ANGRY, 0.8),
        answer(1.0, ANGRY, 0.6),
        answer(2.0, SAD, 0.4),
        answer(3.0, ANGRY, 0.9),
    ]
    found = [
        (one.start_seconds, one.end_seconds, one.decided, one.calibrated[0]) for one in stretches(timeline)
    ]
    assert found == [
        (0.0, 3.0, ANGRY, pytest.approx(0.7)),
        (3.0, 4.0, SAD, 0.4),
        (4.0, 6.0, ANGRY, 0.9),
    ]
    assert stretches([]) == []


def test_a_restless_recording_does_not_fill_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = tuple(answer(float(start), (ANGRY, SAD)[start % 2], 0.5) for start in range(100))
    whole = answer(0.0, SAD, 0.5)
    print_predictions(
        ("ang", "sad"), [Prediction(Path("long.mp4"), whole, "mean of 100 windows", timeline, {}, ())]
    )
    printed = capsys.readouterr().out
    assert "and 40 more stretches: --json has every window" in printed
    assert printed.count("ang 30 %") == 1 + 30


def test_the_larger_share_is_named_first() -> None:
    assert shares_in_words(SAD) == "sad 70 %, ang 30 %"
    assert shares_in_words(ANGRY) == "ang"
