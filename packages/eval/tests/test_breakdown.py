"""Everything beside the headline at once is what each function gives alone."""

import random

import numpy as np
import pytest

from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.eval import breakdown as detail
from blended.eval.breakdown import OVERALL_WORDS, Overall, breakdown
from blended.eval.measures import agreement
from blended.eval.measures.blends import correctness, presence_accuracy
from blended.eval.report.detail_tables import HEADS


def test_every_part_is_that_of_its_own_function() -> None:
    rng = random.Random(0)
    truth = [rng.choice(SPACE.states) for _ in range(300)]
    decided = [true if rng.random() < 0.5 else rng.choice(SPACE.states) for true in truth]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6), 300)
    targets = np.array([SPACE.target(mixture) for mixture in truth])
    levels = [rng.choice(["intensity 1", "intensity 2"]) for _ in truth]
    found = breakdown(truth, decided, probabilities, SPACE, {"level": levels})
    overall = found.overall
    assert overall.macro_presence == detail.macro_presence(truth, decided)
    assert overall.salience_given_presence == detail.salience_given_presence(correctness(truth, decided))
    assert overall.share_pearson == agreement.mean_pearson(probabilities, targets)
    assert overall.share_distance == agreement.earth_movers_distance(probabilities, targets)
    chosen = np.array([SPACE.target(mixture) for mixture in decided])
    assert overall.decided_distance == agreement.earth_movers_distance(chosen, targets)
    assert overall.calibration_error == agreement.classwise_error(probabilities, targets)
    assert overall.confidence_error == agreement.confidence(probabilities, targets).error
    assert found.emotions == detail.per_emotion(truth, decided, EMOTIONS)
    assert found.pairs == detail.per_pair(truth, decided) and len(found.pairs) == 10
    assert found.shares.keys() == {"50/50", "70/30"}
    level = found.groups["level"]["intensity 2"]
    rows = [row for row, name in enumerate(levels) if name == "intensity 2"]
    expected = presence_accuracy([truth[row] for row in rows], [decided[row] for row in rows])
    assert level.clips == len(rows) and level.presence == pytest.approx(expected)


def test_every_single_number_has_words_and_a_head() -> None:
    assert [*OVERALL_WORDS] == [*HEADS] == [*Overall.__dataclass_fields__]
