"""The vectorised grid and the fitted thresholds against the official decoder, clip by clip, cell by cell.

The second implementation follows the organisers' description: no arrays, no shortcuts.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.eval import presence_accuracy, salience_accuracy
from blended.eval.decisions.decider import FitOptions
from blended.eval.decisions.thresholds import (
    GRID,
    Thresholds,
    fit_thresholds,
    grid_accuracies,
    top_two,
    truth_columns,
)
from blended.eval.evidence import Evidence

NEUTRAL = EMOTIONS.index("neu")
Shares = dict[str, int]


def plain_decision(probabilities: list[float], alpha: float, beta: float) -> Shares:
    """The official decoder for one clip."""
    kept = sorted(sorted(range(6), key=lambda column: -probabilities[column])[:2])
    best = max(kept, key=lambda column: probabilities[column])
    if probabilities[best] < alpha:
        return {EMOTIONS[best]: 100}
    kept = [column for column in kept if probabilities[column] >= alpha and probabilities[column] > 0]
    if len(kept) == 1:
        return {EMOTIONS[kept[0]]: 100}
    if NEUTRAL in kept:
        (other,) = [column for column in kept if column != NEUTRAL]
        return {EMOTIONS[other if probabilities[other] >= probabilities[NEUTRAL] else NEUTRAL]: 100}
    i, j = kept
    if abs(probabilities[i] - probabilities[j]) <= beta:
        return {EMOTIONS[i]: 50, EMOTIONS[j]: 50}
    larger, smaller = (i, j) if probabilities[i] > probabilities[j] else (j, i)
    return {EMOTIONS[larger]: 70, EMOTIONS[smaller]: 30}


def plain_grid(table: ndarray, truth: list[Mixture]) -> list[tuple[float, float, float, float]]:
    """(alpha, beta, presence, salience) of every cell, alpha-major."""
    cells: list[tuple[float, float, float, float]] = []
    true = [mixture.rounded() for mixture in truth]
    num_blends = sum(len(shares) == 2 for shares in true)
    for alpha in np.linspace(0.05, 0.95, 20).tolist():
        for beta in np.linspace(0.05, 0.95, 20).tolist():
            decided = [plain_decision(row, alpha, beta) for row in table.tolist()]
            presence = sum(set(t) == set(d) for t, d in zip(true, decided, strict=True))
            salience = sum(len(t) == 2 and t == d for t, d in zip(true, decided, strict=True))
            cells.append((alpha, beta, presence / len(true), salience / num_blends if num_blends else 0.0))
    return cells


@st.composite
def coarse_rows(draw: st.DrawFn) -> list[float]:
    """Probabilities in steps of 1/20: ties, zeros, and values exactly on a threshold."""
    cuts = sorted(draw(st.lists(st.integers(0, 20), min_size=5, max_size=5)))
    return [(high - low) / 20 for low, high in zip([0, *cuts], [*cuts, 20], strict=True)]


@st.composite
def fine_rows(draw: st.DrawFn) -> list[float]:
    weights = draw(st.lists(st.floats(0.001, 1), min_size=6, max_size=6))
    return [weight / sum(weights) for weight in weights]


SPECIAL = [
    [0.4, 0.2, 0.2, 0.2, 0.0, 0.0],  # three share the second place
    [1 / 6] * 6,  # everything equal
    [0.3, 0.0, 0.0, 0.0, 0.3, 0.4],  # neutral first
    [0.0, 0.5, 0.0, 0.0, 0.0, 0.5],  # neutral ties with the other
    [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    [0.05, 0.95, 0.0, 0.0, 0.0, 0.0],  # both exactly on the grid
]
rows = coarse_rows() | fine_rows() | st.sampled_from(SPECIAL)
truths = st.sampled_from(SPACE.states) | st.just(Mixture({"ang": 69.6, "hap": 30.4}))


def evidence(table: ndarray) -> Evidence:
    zeros = np.zeros(len(table), dtype=np.int64)
    given_probabilities = table[:, None, :]
    return Evidence(np.log(np.maximum(given_probabilities, 1e-12)), zeros, zeros, SPACE, given_probabilities)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(rows, truths), min_size=1, max_size=8))
def test_every_cell_and_the_choice_are_the_official_ones(drawn: list[tuple[list[float], Mixture]]) -> None:
    table, truth = np.array([row for row, _ in drawn]), [mixture for _, mixture in drawn]
    expected = plain_grid(table, truth)
    presence, salience = grid_accuracies(top_two(table, SPACE), truth_columns(truth, SPACE))
    np.testing.assert_allclose(
        np.broadcast_to(presence, (20, 20)).ravel(), [cell[2] for cell in expected], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(salience.ravel(), [cell[3] for cell in expected], rtol=0, atol=1e-12)

    best = sorted(expected, key=lambda cell: 0.5 * cell[2] + 0.5 * cell[3], reverse=True)[0]
    fitted = fit_thresholds(evidence(table), truth, FitOptions())
    assert (fitted.alpha, fitted.beta) == best[:2]


@settings(max_examples=150, deadline=None)
@given(st.lists(rows, min_size=1, max_size=8), st.sampled_from(GRID.tolist()), st.sampled_from(GRID.tolist()))
def test_decide_is_the_official_decoder(table: list[list[float]], alpha: float, beta: float) -> None:
    decided = Thresholds(alpha, beta).decide(evidence(np.array(table)))
    assert [mixture.rounded() for mixture in decided] == [plain_decision(row, alpha, beta) for row in table]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(rows, truths), min_size=1, max_size=12),
    st.integers(0, 19),
    st.integers(0, 19),
)
def test_grid_and_decide_agree(drawn: list[tuple[list[float], Mixture]], a: int, b: int) -> None:
    table, truth = np.array([row for row, _ in drawn]), [mixture for _, mixture in drawn]
    presence, salience = grid_accuracies(top_two(table, SPACE), truth_columns(truth, SPACE))
    decided = Thresholds(float(GRID[a]), float(GRID[b])).decide(evidence(table))
    assert presence[a, 0] == pytest.approx(presence_accuracy(truth, decided), abs=1e-12)
    assert salience[a, b] == pytest.approx(salience_accuracy(truth, decided), abs=1e-12)


@pytest.mark.parametrize(
    ("row", "decided"),
    [
        ([0.4, 0.2, 0.2, 0.2, 0.0, 0.0], {"ang": 70, "disg": 30}),
        ([0.0, 0.3, 0.0, 0.3, 0.0, 0.4], {"neu": 100}),
        ([0.0, 0.0, 0.0, 0.45, 0.1, 0.45], {"hap": 100}),
        ([0.45, 0.4, 0.05, 0.05, 0.05, 0.0], {"ang": 50, "disg": 50}),
        ([0.04, 0.04, 0.04, 0.04, 0.04, 0.8], {"neu": 100}),
    ],
)
def test_known_decisions(row: list[float], decided: Shares) -> None:
    assert Thresholds(0.1, 0.1).decide(evidence(np.array([row])))[0].rounded() == decided


def test_all_below_alpha_is_the_best_alone() -> None:
    row = [0.3, 0.2, 0.2, 0.1, 0.1, 0.1]
    assert Thresholds(0.95, 0.05).decide(evidence(np.array([row]))) == [Mixture.single("ang")]


def test_a_neutral_column_in_front_changes_nothing() -> None:
    """The neutral column is known by what can blend, not by its place."""
    order = (5, 0, 1, 2, 3, 4)
    space = LabelSpace(tuple(EMOTIONS[column] for column in order), "mixture", SPACE.states)
    table = np.random.default_rng(0).dirichlet([0.6] * 6, size=200)
    table[:50, 5] = table[:50, 0] = 0.4
    zeros = np.zeros(len(table), dtype=np.int64)
    permuted = Evidence(np.log(table[:, None, order]), zeros, zeros, space, table[:, None, order])
    for alpha in GRID[::4].tolist():
        assert Thresholds(alpha, 0.2).decide(permuted) == Thresholds(alpha, 0.2).decide(evidence(table))


def test_a_space_without_blends_is_decided_single_with_the_first_of_a_tie() -> None:
    space = LabelSpace(("calm", "angry"), "single", (Mixture.single("calm"), Mixture.single("angry")))
    zeros = np.zeros(2, dtype=np.int64)
    logits = np.array([[[0.0, 0.0]], [[0.0, 1.0]]])
    decided = Thresholds(0.05, 0.05).decide(Evidence(logits, zeros, zeros, space))
    assert decided == [Mixture.single("calm"), Mixture.single("angry")]
