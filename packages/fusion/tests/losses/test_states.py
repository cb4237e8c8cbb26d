"""Set and ratio heads against a plain reading of the label states, on even and uneven label spaces."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from blended.data import InputError, LabelSpace, Mixture
from blended.data.corpora import blemore, ravdess
from blended.fusion.losses import (
    emotion_shares,
    set_ratio_nll,
    state_layout,
    state_log_probabilities,
    state_of_targets,
)

UNEVEN = LabelSpace(
    ("neu", "hap", "ang", "sad"),
    states=tuple(
        Mixture.from_name(name)
        for name in (
            "ang+hap:50/50",
            "hap",
            "hap+sad:10/90",
            "ang+hap:30/70",
            "neu",
            "ang+sad:33.3/66.7",
            "hap+sad:50/50",
            "ang+hap:70/30",
        )
    ),
)
SPACES = {"blemore": blemore.SPACE, "uneven": UNEVEN, "singles": ravdess.SPACE}
all_spaces = pytest.mark.parametrize("name", SPACES)


def first_percent(space: LabelSpace, state: Mixture) -> float:
    shares = dict(state.shares)
    return next(shares[emotion] for emotion in space.emotions if emotion in shares)


def plain_probability(
    space: LabelSpace, state: Mixture, sets: list[float], ratios: list[list[float]]
) -> float:
    """P(set) by a softmax over all sets, P(ratio | pair) by one over the ratios that this pair has."""
    position = list(space.emotion_sets).index(state.emotions)
    p = math.exp(sets[position]) / sum(math.exp(value) for value in sets)
    if not state.is_blend:
        return p
    pair = [s for s in space.emotion_sets if len(s) == 2].index(state.emotions)
    columns = sorted({first_percent(space, other) for other in space.states if other.is_blend})
    weight = {
        first_percent(space, other): math.exp(ratios[pair][columns.index(first_percent(space, other))])
        for other in space.states
        if other.emotions == state.emotions
    }
    return p * weight[first_percent(space, state)] / sum(weight.values())


@all_spaces
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_states_have_the_probability_of_their_set_and_ratio(name: str, seed: int) -> None:
    space = SPACES[name]
    layout = state_layout(space)
    generator = torch.Generator().manual_seed(seed)
    sets = torch.randn(layout.num_sets, generator=generator).double()
    ratios = torch.randn(layout.num_pairs, layout.num_ratios, generator=generator).double()
    p = state_log_probabilities(sets, ratios, layout).exp()
    expected = [plain_probability(space, state, sets.tolist(), ratios.tolist()) for state in space.states]
    assert p.tolist() == pytest.approx(expected, rel=1e-6)
    assert p.sum().item() == pytest.approx(1, rel=1e-6)
    shares = [
        sum(q * space.target(s)[e] for q, s in zip(expected, space.states, strict=True)) for e in range(4)
    ]
    assert emotion_shares(p.log(), layout)[:4].tolist() == pytest.approx(shares, rel=1e-5)
    assert emotion_shares(p.log(), layout).sum().item() == pytest.approx(1, rel=1e-5)


def test_the_layout_of_blemore() -> None:
    layout = state_layout(blemore.SPACE)
    assert (len(layout.set_of_state), layout.num_sets, layout.num_pairs, layout.num_ratios) == (36, 16, 10, 3)
    assert layout.first_share.tolist() == pytest.approx([0.3, 0.5, 0.7])
    assert not layout.absent_ratio.any()
    assert sorted(layout.ratio_of_state[6:].tolist()) == list(range(30))
    assert layout.ratio_of_state[:6].tolist() == [30] * 6


def test_a_ratio_column_means_the_same_for_every_pair() -> None:
    layout = state_layout(UNEVEN)
    assert layout.first_share.tolist() == pytest.approx([0.1, 0.3, 0.333, 0.5, 0.7])
    # The pairs in the order of the states: ang+hap and hap+sad begin with hap, ang+sad with ang.
    assert (~layout.absent_ratio).tolist() == [
        [False, True, False, True, True],
        [True, False, False, True, False],
        [False, False, True, False, False],
    ]


def test_a_head_of_any_size_gives_absent_ratios_nothing() -> None:
    layout = state_layout(UNEVEN)
    ratios = torch.zeros(3, 5)
    boosted = torch.where(layout.absent_ratio, 1e4, ratios).requires_grad_(True)
    sets = torch.zeros(5)
    boosted_p = state_log_probabilities(sets, boosted, layout)
    torch.testing.assert_close(boosted_p, state_log_probabilities(sets, ratios, layout))
    (gradient,) = torch.autograd.grad(boosted_p.sum(), boosted)
    assert bool(gradient.isfinite().all()) and bool((gradient[layout.absent_ratio] == 0).all())


@all_spaces
def test_every_state_is_found_by_its_target(name: str) -> None:
    space, layout = SPACES[name], state_layout(SPACES[name])
    targets = torch.tensor([space.target(state) for state in space.states])
    assert state_of_targets(targets, layout).tolist() == list(range(len(space.states)))
    raters = torch.full((2, len(space.emotions)), 1 / len(space.emotions))
    assert state_of_targets(torch.cat([raters, torch.zeros_like(raters)]), layout).tolist() == [-1] * 4


def test_the_likelihood_is_sklearns_and_skips_what_is_no_state() -> None:
    layout = state_layout(blemore.SPACE)
    generator = torch.Generator().manual_seed(2)
    log_p = state_log_probabilities(
        torch.randn(50, 16, generator=generator), torch.randn(50, 10, 3, generator=generator), layout
    )
    states = torch.randint(36, (50,), generator=generator)
    states[::7] = -1
    nll = set_ratio_nll(log_p, states)
    known = states >= 0
    expected = log_loss(states[known], log_p[known].double().softmax(dim=-1).numpy(), labels=range(36))
    assert nll[known].mean().item() == pytest.approx(expected, rel=1e-5)
    assert nll[~known].tolist() == [0.0] * int((~known).sum()) and bool((nll >= 0).all())


def test_descent_finds_the_true_states() -> None:
    layout = state_layout(blemore.SPACE)
    sets, ratios = torch.zeros(36, 16, requires_grad=True), torch.zeros(36, 10, 3, requires_grad=True)
    optimiser = torch.optim.Adam([sets, ratios], lr=0.5)
    for _ in range(60):
        optimiser.zero_grad()
        set_ratio_nll(state_log_probabilities(sets, ratios, layout), torch.arange(36)).mean().backward()
        optimiser.step()
    log_p = state_log_probabilities(sets, ratios, layout)
    assert log_p.argmax(dim=-1).tolist() == list(range(36))
    torch.testing.assert_close(emotion_shares(log_p, layout), layout.shares, atol=1e-2, rtol=0)


def test_a_layout_goes_to_another_device_whole() -> None:
    moved = state_layout(blemore.SPACE).to("meta")
    assert {moved.shares.device.type, moved.set_of_state.device.type, moved.absent_ratio.device.type} == {
        "meta"
    }
    assert (moved.num_sets, moved.num_pairs, moved.num_ratios) == (16, 10, 3)


def test_a_space_that_cannot_be_laid_out_is_refused() -> None:
    with pytest.raises(InputError, match="lists no states, which a set-and-ratio model predicts: name them"):
        state_layout(LabelSpace(("ang", "hap")))
    twice = (Mixture.single("ang"), Mixture.single("ang"))
    with pytest.raises(InputError, match="label state ang is listed twice: expected every state once"):
        state_layout(LabelSpace(("ang",), states=twice))
