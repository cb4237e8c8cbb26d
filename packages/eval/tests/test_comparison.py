"""Ranking, paired differences and the correction, each against a plainer second implementation."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_rel

from blended.data import InputError, LabelSpace, Mixture
from blended.eval.comparison import Answers, compare, compare_all, holm, standings
from blended.eval.evaluation import measure
from blended.eval.evidence import Evidence
from blended.eval.measures.blends import correctness
from blended.eval.protocol import Protocol
from blended.eval.run_record import RunRecord, rank
from blended.eval.tasks import TASKS

EMOTIONS = ("ang", "hap", "sad")
STATES = [
    *(Mixture.single(emotion) for emotion in EMOTIONS),
    *(Mixture({a: p, b: 100 - p}) for a, b in itertools.combinations(EMOTIONS, 2) for p in (30, 50, 70)),
]
SPACE = LabelSpace(EMOTIONS, states=tuple(STATES))
TRUTH = STATES * 10
NUM = len(TRUTH)
ACTORS = np.array([f"A{row * 10 // NUM}" for row in range(NUM)])
FOLDS = np.array([row * 10 // NUM % 5 for row in range(NUM)], dtype=np.int64)


def evidence_of(actors: np.ndarray, folds: np.ndarray) -> Evidence:
    """Of clips whose scores do not matter."""
    numbers = np.unique(actors, return_inverse=True)[1]
    return Evidence(np.zeros((len(actors), 1, len(SPACE.emotions))), numbers, folds, SPACE)


def make_run(
    name: str, skill: float, modalities: tuple[str, ...] = ("audio",), seed: int = 0, tune: str = "cross-fold"
) -> RunRecord:
    """A run that is right with probability `skill` and otherwise says a random state."""
    rng = random.Random(f"{name} {seed}")
    decided = [true if rng.random() < skill else rng.choice(STATES) for true in TRUTH]
    evidence = evidence_of(ACTORS, FOLDS)
    evaluation = measure(evidence, TRUTH, decided, Protocol("thresholds", tune=tune))
    ids = tuple(f"clip_{row}" for row in range(NUM))
    return RunRecord(name, "linear", ("logmel",), modalities, TRUTH, ids, ACTORS, FOLDS, evaluation)


def plain_scores(record: RunRecord) -> list[float]:
    """Of every actor, who has as many clips as any other, with loops."""
    compared, scores = correctness(*record.of_mixtures()), []
    for actor in sorted(set(ACTORS.tolist())):
        rows = [row for row in range(NUM) if ACTORS[row] == actor]
        presence = sum(bool(compared.presence[row]) for row in rows) / len(rows)
        blends = [row for row in rows if TRUTH[row].is_blend]
        scores.append((presence + sum(bool(compared.salience[row]) for row in blends) / len(blends)) / 2)
    return scores


def test_a_run_does_not_differ_from_itself() -> None:
    run = make_run("one", 0.5)
    same = compare(run, run)
    assert len(same.differences) == 3
    for estimate in same.differences:
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert same.p == 1
    assert not same.distinguishable


def test_paired_difference_is_the_paired_t_test() -> None:
    """Ten actors of equal clips, two a fold."""
    first, second = make_run("first", 0.6), make_run("second", 0.5)
    expected = ttest_rel(plain_scores(first), plain_scores(second))
    found = compare(first, second)
    assert found.score.ends == pytest.approx(list(expected.confidence_interval()))
    assert found.score.value == pytest.approx(first.score - second.score)
    assert found.p == pytest.approx(expected.pvalue)
    assert str(found.basis) == "10 actors, pooled over 5 folds"


def guesses(name: str, seed: int, num_actors: int, folds: np.ndarray | None = None) -> Answers:
    """Ten clips of every actor, answered at random."""
    rng = random.Random(f"guess {seed}")
    decided = [rng.choice(STATES) for _ in range(10 * num_actors)]
    truth = [STATES[row % len(STATES)] for row in range(10 * num_actors)]
    actors = np.repeat(np.arange(num_actors), 10)
    ids = tuple(map(str, range(len(truth))))
    return Answers(name, "mixture", truth, decided, ids, actors, actors if folds is None else folds)


def test_guesses_left_out_one_by_one_are_noise() -> None:
    """Six folds of one actor, ten clips each: what was once 0.051 [0.051, 0.051], p 0.0002."""
    apart = 0
    for seed in range(200):
        found = compare(guesses("a", 2 * seed, 6), guesses("b", 2 * seed + 1, 6))
        low, high = found.score.ends or (0, 0)
        assert high - low > 0.02, "no width is no news"
        apart += found.distinguishable
    assert apart / 200 <= 0.085


def test_one_actor_tells_nothing_apart() -> None:
    good, bad = guesses("a", 0, 1), guesses("b", 1, 1)
    found = compare(replace(good, decided=good.truth), bad)
    assert found.score.value > 0.5 and found.score.ends is None
    assert (found.p, found.distinguishable) == (1.0, False)
    assert "one actor says nothing about others" in found.basis.sentence


def test_few_actors_who_agree_are_told_apart_only_where_they_are_enough() -> None:
    """Right for everybody against wrong for everybody: the sign test's 1 in 2 to the n."""
    for num_actors in (2, 4, 5, 12):
        right = guesses("a", 0, num_actors)
        right = replace(right, decided=right.truth)
        wrong = replace(right, name="b", decided=[Mixture.single("neu")] * len(right.truth))
        found = compare(right, wrong)
        assert found.score.value == 1 and found.p == pytest.approx(0.5**num_actors)
        assert found.distinguishable == (num_actors > 4)


def test_reversed_comparison_swaps_the_ends() -> None:
    first, second = make_run("first", 0.6), make_run("second", 0.5)
    forth, back = compare(first, second), compare(second, first)
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


def test_a_headline_that_is_better_when_smaller_is_ranked_so(monkeypatch: pytest.MonkeyPatch) -> None:
    smaller = replace(TASKS["mixture"].headline, larger_is_better=False)
    monkeypatch.setitem(TASKS, "mixture", replace(TASKS["mixture"], headline=smaller))
    runs = [make_run(name, skill) for name, skill in (("low", 0.1), ("high", 0.9), ("mid", 0.5))]
    assert [run.name for run in rank(runs)] == ["low", "mid", "high"]


def test_nobody_wins_inside_the_noise() -> None:
    close = [make_run("a", 0.6), make_run("b", 0.6, ("audio", "video")), make_run("far", 0.1, ("video",))]
    found = standings([*close, make_run("constant", 0.0, ())])
    assert {run.name for run in (found.top, *found.tied)} == {"a", "b"}
    assert [record.name for record in found.baselines] == ["constant"]
    assert found.between(found.top.name, "constant").distinguishable


def test_family_is_corrected_as_one() -> None:
    modalities = [("audio",), ("video",), ("audio", "video"), ("audio",), ()]
    runs = [make_run(f"run-{n}", 0.5 - 0.03 * n, kind) for n, kind in enumerate(modalities)]
    found = standings(runs)
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


def test_refuses_what_the_corpus_says_otherwise_by_now() -> None:
    one, other = guesses("one", 0, 4), guesses("other", 1, 4)
    changed = replace(other, truth=other.truth[::-1])
    with pytest.raises(InputError, match=r"'one' and 'other' were evaluated on other labels or actors"):
        compare(one, changed)
    with pytest.raises(InputError, match=r"the corpus was changed between them"):
        compare_all([one, replace(other, actors=other.actors + 1)], [("one", "other")])
