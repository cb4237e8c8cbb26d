"""EP-CE against its published form and against plain loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.data import InputError
from blended.data.corpora import blemore, cremad, ravdess
from blended.data.labels import EMOTION_NAMES
from blended.fusion.losses import POLARITY, ep_ce, kl_to_soft_labels, polarity_of, polarity_weights

EMOTIONS = blemore.SPACE.emotions
POLARITIES = polarity_of(EMOTIONS)
HUME = ("adoration", "amusement", "anxiety", "disgust", "empathic pain", "fear", "surprise")
EMOTIONS_OF_EMOTIONS = ("excitation", "fear", "neutral", "relaxation", "sadness", "tension")

logits_of = st.lists(st.floats(-6, 6, width=32), min_size=6, max_size=6)
counts_of = st.lists(st.integers(0, 9), min_size=6, max_size=6).filter(any)


def published(logits: list[float], truth: int, strength: float) -> float:
    """arXiv 2311.17335: one label per clip, the polarity of the likeliest emotion."""
    log_sum = math.log(sum(math.exp(value) for value in logits))
    likeliest = max(range(len(logits)), key=lambda emotion: logits[emotion])
    mistaken = POLARITY[EMOTIONS[likeliest]] != POLARITY[EMOTIONS[truth]]
    return (1 + strength * mistaken) * (log_sum - logits[truth])


def plain_weight(logits: list[float], target: list[float], strength: float) -> float:
    """The soft form by loops over emotions."""
    total = sum(math.exp(value) for value in logits)
    difference = dict.fromkeys((-1, 0, 1), 0.0)
    for emotion, value, wanted in zip(EMOTIONS, logits, target, strict=True):
        difference[POLARITY[emotion]] += wanted - math.exp(value) / total
    return 1 + strength * sum(abs(value) for value in difference.values()) / 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.floats(0, 2))
def test_a_sure_prediction_of_one_label_costs_as_published(truth: int, said: int, strength: float) -> None:
    logits = [0.0] * 6
    logits[said] = 60.0
    target = torch.eye(6).double()[truth]
    ours = ep_ce(torch.tensor(logits).double(), target, POLARITIES, strength)
    assert ours.item() == pytest.approx(published(logits, truth, strength), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(logits_of, counts_of, st.floats(0, 2))
def test_the_soft_form_is_that_of_plain_loops(
    logits: list[float], counts: list[int], strength: float
) -> None:
    target = [count / sum(counts) for count in counts]
    x, y = torch.tensor(logits, dtype=torch.float64), torch.tensor(target, dtype=torch.float64)
    weight = polarity_weights(x, y, POLARITIES, strength).item()
    assert weight == pytest.approx(plain_weight(logits, target, strength), abs=1e-9)
    assert 1 <= weight <= 1 + strength + 1e-9
    entropy = -sum(p * math.log(p) for p in target if p > 0)
    assert ep_ce(x, y, POLARITIES, strength).item() == pytest.approx(
        weight * (kl_to_soft_labels(x, y).item() + entropy), abs=1e-8
    )


def test_the_weight_has_no_gradient_and_the_loss_that_of_weighted_kl() -> None:
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)
    y = torch.tensor([blemore.SPACE.target(state) for state in blemore.SPACE.states[4:9]])
    weights = polarity_weights(x, y, POLARITIES)
    assert not weights.requires_grad
    (ours,) = torch.autograd.grad(ep_ce(x, y, POLARITIES).sum(), x)
    (weighted,) = torch.autograd.grad((weights * kl_to_soft_labels(x, y)).sum(), x)
    torch.testing.assert_close(ours, weighted)


def test_taking_anger_for_sadness_costs_less_than_for_happiness() -> None:
    truth = torch.eye(6)[EMOTIONS.index("ang")]
    sad, happy = (6 * torch.eye(6)[EMOTIONS.index(said)] for said in ("sad", "hap"))
    assert ep_ce(happy, truth, POLARITIES) > 1.4 * ep_ce(sad, truth, POLARITIES)
    torch.testing.assert_close(kl_to_soft_labels(happy, truth), kl_to_soft_labels(sad, truth))


def test_the_polarities_of_blemore_are_those_of_the_published_grouping() -> None:
    assert dict(zip(EMOTIONS, POLARITIES.tolist(), strict=True)) == {
        **dict.fromkeys(("ang", "disg", "fea", "sad"), -1),
        "hap": 1,
        "neu": 0,
    }


@pytest.mark.parametrize(
    "emotions",
    [EMOTIONS, cremad.EMOTIONS, ravdess.SPACE.emotions, HUME, EMOTIONS_OF_EMOTIONS, tuple(EMOTION_NAMES)],
)
def test_known_corpora_have_polarities(emotions: tuple[str, ...]) -> None:
    assert set(polarity_of(emotions).tolist()) <= {-1, 0, 1}


def test_a_short_name_and_its_word_agree() -> None:
    assert {short: POLARITY[short] for short in EMOTION_NAMES} == {
        short: POLARITY[word] for short, word in EMOTION_NAMES.items()
    }


def test_an_unknown_emotion_is_refused_unless_given_a_polarity() -> None:
    with pytest.raises(InputError, match=r"no polarity is known for the emotion 'awe': give it one \(-1"):
        polarity_of(["hap", "awe"])
    assert polarity_of(["Hap", "awe"], {"awe": 0}).tolist() == [1, 0]
    assert polarity_of(["sur"], {"sur": 1}).tolist() == [1]
    with pytest.raises(InputError, match="polarity of 'awe' is 3, expected -1, 0 or 1"):
        polarity_of(["awe"], {"awe": 3})
