"""The metrics against a second implementation that follows the organisers' definition word by word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.data import InputError, Mixture
from blended.eval import challenge_score, presence_accuracy, salience_accuracy
from blended.eval.measures.blends import correctness

EMOTIONS = ("ang", "disg", "fea", "hap", "sad", "neu")
SHARES = (50, 70, 30, 69.6, 30.4, 60, 40, 69.5, 70.5, 29.5, 50.5, 49.5, 0.7, 99.3)
Entries = list[dict[str, object]]


@st.composite
def entries(draw: st.DrawFn) -> Entries:
    """A prediction in the organisers' format: one emotion, or two whose shares add up to 100."""
    first, second = draw(st.permutations(EMOTIONS))[:2]
    if draw(st.booleans()):
        return [{"emotion": first, "salience": 100.0}]
    share = draw(st.sampled_from(SHARES) | st.floats(0.01, 99.99))
    return [{"emotion": first, "salience": share}, {"emotion": second, "salience": 100 - share}]


def mixture(one: Entries) -> Mixture:
    return Mixture({str(entry["emotion"]): float(str(entry["salience"])) for entry in one})


def pair(shares: tuple[float, float]) -> Mixture:
    return Mixture({"ang": float(shares[0]), "hap": float(shares[1])})


def plain_presence(truth: list[Entries], predicted: list[Entries]) -> float:
    right = 0
    for t, p in zip(truth, predicted, strict=True):
        right += {entry["emotion"] for entry in t} == {entry["emotion"] for entry in p}
    return right / len(truth)


def plain_salience(truth: list[Entries], predicted: list[Entries]) -> float:
    right, blends = 0, 0
    for t, p in zip(truth, predicted, strict=True):
        if len(t) == 2:
            blends += 1
            rounded_t = {entry["emotion"]: round(float(str(entry["salience"]))) for entry in t}
            rounded_p = {entry["emotion"]: round(float(str(entry["salience"]))) for entry in p}
            right += len(p) == 2 and rounded_t == rounded_p
    return right / blends if blends else 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(entries(), entries(), st.booleans()), min_size=1, max_size=40))
def test_metrics_agree_with_the_plain_definition(drawn: list[tuple[Entries, Entries, bool]]) -> None:
    truth = [t for t, _, _ in drawn]
    # Random pairs are almost never right, so about half of the predictions repeat the truth.
    predicted = [t[::-1] if same else p for t, p, same in drawn]
    mixtures = [mixture(t) for t in truth], [mixture(p) for p in predicted]
    presence, salience = plain_presence(truth, predicted), plain_salience(truth, predicted)
    assert presence_accuracy(*mixtures) == pytest.approx(presence, abs=1e-12)
    assert salience_accuracy(*mixtures) == pytest.approx(salience, abs=1e-12)
    assert challenge_score(*mixtures) == pytest.approx((presence + salience) / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("true", "said", "right"),
    [
        ((70, 30), (69.6, 30.4), True),
        ((70, 30), (60, 40), False),
        ((70, 30), (30, 70), False),
        ((70, 30), (70.5, 29.5), True),  # half to even: 70 and 30
        ((70, 30), (69.5, 30.5), True),  # half to even: 70 and 30
        ((70, 30), (71.5, 28.5), False),
        ((50, 50), (50.5, 49.5), True),  # half to even: 50 and 50
        ((50, 50), (49.4, 50.6), False),
    ],
)
def test_shares_are_compared_rounded_half_to_even(
    true: tuple[float, float], said: tuple[float, float], right: bool
) -> None:
    truth = [pair(true)]
    predicted = [pair(said)]
    assert salience_accuracy(truth, predicted) == float(right)
    assert presence_accuracy(truth, predicted) == 1.0


def test_a_single_answer_to_a_blend_is_wrong_in_both() -> None:
    truth, predicted = [Mixture({"ang": 50.0, "hap": 50.0})], [Mixture.single("ang")]
    assert presence_accuracy(truth, predicted) == salience_accuracy(truth, predicted) == 0.0


def test_without_blends_salience_is_zero() -> None:
    assert salience_accuracy([Mixture.single("ang")], [Mixture.single("ang")]) == 0.0


def test_a_right_single_does_not_count_for_salience() -> None:
    compared = correctness([Mixture.single("ang")], [Mixture.single("ang")])
    assert compared.presence.tolist() == [True]
    assert compared.salience.tolist() == compared.is_blend.tolist() == [False]


def test_presence_of_no_clips_is_undefined() -> None:
    with pytest.raises(InputError, match="presence accuracy of no clips is undefined"):
        presence_accuracy([], [])


def test_lengths_must_agree() -> None:
    with pytest.raises(InputError, match="got 1 true and 2 predicted mixtures: lengths must agree"):
        salience_accuracy([Mixture.single("ang")], [Mixture.single("ang")] * 2)
