"""Ranking, paired differences and the correction, each against a plainer second implementation."""

import itertools
import random

import numpy as np
import pytest

from blended.data import InputError, Mixture
from blended.eval.comparison import compare, holm, standings
from blended.eval.evaluation import Evaluation
from blended.eval.intervals import actor_bootstrap
from blended.eval.metrics import correctness
from blended.eval.protocol import Protocol
from blended.eval.run_record import RunRecord, rank

EMOTIONS = ("ang", "hap", "sad")
STATES = [
    *(Mixture.single(emotion) for emotion in EMOTIONS),
    *(Mixture({a: p, b: 100 - p}) for a, b in itertools.combinations(EMOTIONS, 2) for p in (30, 50, 70)),
]
TRUTH = STATES * 10
NUM = len(TRUTH)
ACTORS = np.array([f"A{row * 10 // NUM}" for row in range(NUM)])
FOLDS = np.array([row * 10 // NUM % 5 for row in range(NUM)], dtype=np.int64)


def make_run(
    name: str, skill: float, modalities: tuple[str, ...] = ("audio",), seed: int = 0, tune: str = "cross-fold"
) -> RunRecord:
    """A run that is right with probability `skill` and otherwise says a random state."""
    rng = random.Random(f"{name} {seed}")
    decided = [true if rng.random() < skill else rng.choice(STATES) for true in TRUTH]
    compared = correctness(TRUTH, decided)
    numbers = np.unique(ACTORS, return_inverse=True)[1]
    estimates = actor_bootstrap(compared, numbers, FOLDS, seed=0, num_resamples=200)
    evaluation = Evaluation(Protocol("thresholds", tune=tune), decided, compared, [], estimates)
    ids = tuple(f"clip_{row}" for row in range(NUM))
    return RunRecord(name, "linear", ("logmel",), modalities, TRUTH, ids, ACTORS, FOLDS, evaluation)


def plain_draws(record: RunRecord, seed: int, num_resamples: int) -> list[float]:
    """Scores of resamples with loops; the draws themselves are those of numpy's multinomial."""
    rng = np.random.default_rng(seed)
    presence, salience = np.zeros(num_resamples), np.zeros(num_resamples)
    for fold in sorted(set(FOLDS.tolist())):
        actors = sorted(set(ACTORS[fold == FOLDS].tolist()))
        drawn = rng.multinomial(len(actors), [1 / len(actors)] * len(actors), size=num_resamples)
        for number in range(num_resamples):
            rows = [
                row
                for actor, times in zip(actors, drawn[number], strict=True)
                for row in np.flatnonzero(actor == ACTORS).tolist() * int(times)
            ]
            compared = record.of_mixtures()[1].compared
            blends = [row for row in rows if TRUTH[row].is_blend]
            presence[number] += np.mean([compared.presence[row] for row in rows]) / 5
            salience[number] += np.mean([compared.salience[row] for row in blends]) / 5
    return ((presence + salience) / 2).tolist()


def test_a_run_does_not_differ_from_itself() -> None:
    run = make_run("one", 0.5)
    same = compare(run, run, num_resamples=500)
    assert len(same.differences) == 3
    for estimate in same.differences:
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert same.p == 1
    assert not same.distinguishable


def test_paired_difference_is_that_of_loops() -> None:
    first, second = make_run("first", 0.6), make_run("second", 0.5)
    gaps = np.array(plain_draws(first, 3, 60)) - np.array(plain_draws(second, 3, 60))
    found = compare(first, second, seed=3, num_resamples=60)
    assert [found.score.low, found.score.high] == pytest.approx(np.percentile(gaps, [2.5, 97.5]), abs=1e-12)
    assert found.score.value == pytest.approx(first.score - second.score)
    below, above = (1 + sum(g <= 1e-12 for g in gaps)) / 61, (1 + sum(g >= -1e-12 for g in gaps)) / 61
    assert found.p == pytest.approx(min(1, 2 * min(below, above)))


def test_reversed_comparison_swaps_the_ends() -> None:
    first, second = make_run("first", 0.6), make_run("second", 0.5)
    forth, back = compare(first, second, num_resamples=200), compare(second, first, num_resamples=200)
    for one, other in zip(forth.reversed().differences, back.differences, strict=True):
        assert [one.value, one.low, one.high] == pytest.approx([other.value, other.low, other.high])
    assert forth.p == pytest.approx(back.p)


def step_down(p_values: list[float], level: float) -> list[bool]:
    """Holm's procedure as he wrote it: reject from the smallest on until one is not small enough."""
    rejected = [False] * len(p_values)
    for step, (p, number) in enumerate(sorted((p, number) for number, p in enumerate(p_values))):
        if p > level / (len(p_values) - step):
            break
        rejected[number] = True
    return rejected


def test_holm_rejects_what_the_step_down_procedure_rejects() -> None:
    rng = random.Random(0)
    for _ in range(200):
        p_values = [rng.random() ** 3 for _ in range(rng.randint(1, 8))]
        adjusted = holm(p_values)
        for level in (0.01, 0.05, 0.2, 0.5):
            assert [p <= level for p in adjusted] == step_down(p_values, level)
        assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    assert holm([]) == []


def test_ranking_is_by_score_then_name() -> None:
    runs = [make_run(name, skill) for name, skill in (("low", 0.1), ("high", 0.9), ("mid", 0.5))]
    assert [run.name for run in rank(runs)] == ["high", "mid", "low"]
    twin = make_run("mid", 0.5)
    object.__setattr__(twin, "name", "also-mid")
    assert [run.name for run in rank([*runs, twin])] == ["high", "also-mid", "mid", "low"]


def test_nobody_wins_inside_the_noise() -> None:
    close = [make_run("a", 0.6), make_run("b", 0.6, ("audio", "video")), make_run("far", 0.1, ("video",))]
    found = standings([*close, make_run("constant", 0.0, ())], num_resamples=1000)
    assert {run.name for run in (found.top, *found.tied)} == {"a", "b"}
    assert [record.name for record in found.baselines] == ["constant"]
    assert found.between(found.top.name, "constant").distinguishable


def test_family_is_corrected_as_one() -> None:
    modalities = [("audio",), ("video",), ("audio", "video"), ("audio",), ()]
    runs = [make_run(f"run-{n}", 0.5 - 0.03 * n, kind) for n, kind in enumerate(modalities)]
    found = standings(runs, num_resamples=500)
    family = list(found.comparisons.values())
    assert [one.p_holm for one in family] == holm([one.p for one in family])
    pairs = {frozenset(pair) for pair in found.comparisons}
    assert len(pairs) == len(family)
    assert {frozenset((found.top.name, run.name)) for run in runs if run is not found.top} <= pairs
    best = found.best_of("multimodal")
    assert best is not None
    for modality in ("audio", "video"):
        other = found.best_of(modality)
        assert other is not None
        assert frozenset((best.name, other.name)) in pairs


def test_refuses_what_cannot_be_compared() -> None:
    run = make_run("one", 0.5)
    with pytest.raises(InputError, match=r"run 'one' occurs 2 times; give every run a name"):
        standings([run, run])
    with pytest.raises(InputError, match=r"expected at least one trained run, got only none"):
        standings([])
    other = make_run("other", 0.5)
    object.__setattr__(other, "clip_ids", other.clip_ids[::-1])
    with pytest.raises(InputError, match=r"not evaluated on the same clips and folds"):
        compare(run, other)
    with pytest.raises(InputError, match=r"tuned in-fold was given as its cross-fold result"):
        make_run("optimist", 0.5, tune="in-fold")
    with pytest.raises(InputError, match=r"expected one entry per clip in each"):
        RunRecord("short", "linear", (), ("audio",), TRUTH[1:], run.clip_ids, ACTORS, FOLDS, run.cross_fold)
