"""Where decisions are right, against scikit-learn and plain loops; all at once is what each function is."""

import random
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

from blended.data import InputError, Mixture
from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.data.labels import set_name
from blended.eval import breakdown as detail
from blended.eval.breakdown import OVERALL_WORDS, Overall, breakdown
from blended.eval.measures import agreement
from blended.eval.measures.blends import correctness, presence_accuracy, salience_accuracy
from blended.eval.report.detail_tables import HEADS

SCORED = ("precision", "recall", "f1")


def random_mixtures(seed: int, num_clips: int = 300) -> tuple[list[Mixture], list[Mixture]]:
    """Truth, and predictions that are right half of the time."""
    rng = np.random.default_rng(seed)
    truth = [SPACE.states[k] for k in rng.integers(0, 36, num_clips)]
    other = [SPACE.states[k] for k in rng.integers(0, 36, num_clips)]
    return truth, [
        t if right else o for t, o, right in zip(truth, other, rng.random(num_clips) < 0.5, strict=True)
    ]


@pytest.mark.parametrize("num_clips", [40, 2])
@pytest.mark.parametrize("seed", range(3))
def test_per_emotion_is_scikit_learns(seed: int, num_clips: int) -> None:
    """And nothing is said where it has nothing to divide by."""
    truth, predicted = random_mixtures(seed, num_clips)
    found = detail.per_emotion(truth, predicted, EMOTIONS)
    binarizer = MultiLabelBinarizer(classes=EMOTIONS)
    tables = [binarizer.fit_transform([m.emotions for m in mixtures]) for mixtures in (truth, predicted)]
    # Its stub knows neither a number for zero_division nor that arrays come back without an average.
    expected: Any = precision_recall_fscore_support(*tables, zero_division=np.nan)  # pyright: ignore[reportArgumentType]
    for row, name in enumerate(SCORED):
        ours = np.array([getattr(scores, name) for scores in found.values()], dtype=float)
        np.testing.assert_allclose(ours, expected[row])
    assert [scores.clips for scores in found.values()] == expected[3].tolist()


def test_an_emotion_that_nobody_has_or_says_has_no_scores() -> None:
    ang = [Mixture.single("ang")]
    assert detail.per_emotion(ang, ang, ("hap",))["hap"] == detail.EmotionScores(None, None, None, 0)


def test_groups_are_the_official_numbers_of_their_clips() -> None:
    truth, predicted = random_mixtures(3)
    groups = [f"level {k % 4}" for k in range(len(truth))]
    found = detail.by_group(correctness(truth, predicted), groups)
    assert list(found) == ["level 0", "level 1", "level 2", "level 3"]
    for number, scores in enumerate(found.values()):
        own, own_predicted = truth[number::4], predicted[number::4]
        assert scores.clips == len(own)
        assert scores.presence == pytest.approx(presence_accuracy(own, own_predicted))
        assert scores.salience == pytest.approx(salience_accuracy(own, own_predicted))


def test_pairs_and_shares_split_the_blends() -> None:
    truth, predicted = random_mixtures(4)
    pairs, shares = detail.per_pair(truth, predicted), detail.per_share(truth, predicted)
    blends = [row for row, mixture in enumerate(truth) if mixture.is_blend]
    assert len(pairs) == 10 and set(shares) == {"50/50", "70/30"}
    for groups in (pairs, shares):
        assert sum(scores.blends for scores in groups.values()) == len(blends)
    rows = [row for row in blends if set_name(truth[row].emotions) == "ang+sad"]
    right = [truth[row].rounded() == predicted[row].rounded() for row in rows]
    assert pairs["ang+sad"].salience == pytest.approx(sum(right) / len(rows))


def test_macro_presence_is_balanced_accuracy_over_sets() -> None:
    truth, predicted = random_mixtures(5, 1000)
    names = [[set_name(m.emotions) for m in mixtures] for mixtures in (truth, predicted)]
    assert detail.macro_presence(truth, predicted) == pytest.approx(balanced_accuracy_score(*names))


def test_salience_given_presence_is_a_plain_ratio() -> None:
    truth, predicted = random_mixtures(6)
    pairs = [(t, p) for t, p in zip(truth, predicted, strict=True) if t.is_blend and t.emotions == p.emotions]
    expected = sum(t.rounded() == p.rounded() for t, p in pairs) / len(pairs)
    assert detail.salience_given_presence(correctness(truth, predicted)) == pytest.approx(expected)
    ang, sad = [Mixture.single("ang")], [Mixture.single("sad")]
    assert detail.salience_given_presence(correctness(ang, ang)) is None
    assert detail.salience_given_presence(correctness(ang, sad)) is None


def test_what_is_refused() -> None:
    ang = [Mixture.single("ang")]
    with pytest.raises(InputError, match="got 0 predictions or groups for 1 clips: lengths must agree"):
        detail.per_emotion(ang, [], EMOTIONS)
    with pytest.raises(InputError, match="got 2 predictions or groups for 1 clips"):
        detail.by_group(correctness(ang, ang), ["a", "b"])
    with pytest.raises(InputError, match="macro presence of no clips is undefined"):
        detail.macro_presence([], [])


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
