"""Who sees which labels: leakage, chance level, and what the protocol refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.decisions import DECISIONS, OF_STATES
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.protocol import Protocol, fit_decision

LEARNED = ("thresholds", "bayes", "set-ratio")
NEVER_BLENDS = ("argmax", "most-frequent-single")


@pytest.fixture(autouse=True)
def two_penalties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough to have something to choose between, and quick."""
    for module in ("bayes", "set_ratio"):
        monkeypatch.setattr(f"blended.eval.decisions.{module}.INVERSE_PENALTIES", (0.1, 1.0))


def toy(seed: int = 0, num_actors: int = 10, num_folds: int = 5) -> tuple[Evidence, list[Mixture]]:
    """Every actor acts every state once; two models see it with noise and a habit of the actor."""
    rng = np.random.default_rng(seed)
    truth = list(SPACE.states) * num_actors
    actors = np.repeat(np.arange(num_actors), len(SPACE.states))
    signal = np.log(np.array([SPACE.target(mixture) for mixture in truth]) + 0.05)
    noise = rng.normal(size=(len(truth), 2, 6)) * 0.5
    habits = rng.normal(size=(num_actors, 2, 6)) * 0.3
    logits = signal[:, None, :] + noise + habits[actors]
    states = np.log(rng.dirichlet(np.ones(len(SPACE.states)), len(truth)) + 1e-3)
    states[np.arange(len(truth)), np.arange(len(truth)) % len(SPACE.states)] += 1.5
    return Evidence(logits, actors, actors % num_folds, SPACE, states=states), truth


def shuffled(truth: list[Mixture], rows: ndarray, seed: int) -> list[Mixture]:
    """The labels of some rows in another order."""
    order = np.arange(len(truth))
    order[rows] = np.random.default_rng(seed).permutation(order[rows])
    return [truth[row] for row in order]


def rules(decision: str, normalise: str = "actor") -> Protocol:
    """Calibrated as asked for, except where nothing is."""
    return Protocol(decision, "none" if decision in OF_STATES else normalise, seed=3)


@pytest.mark.parametrize("normalise", ["none", "actor"])
@pytest.mark.parametrize("decision", DECISIONS)
def test_labels_of_the_reported_fold_do_not_touch_its_decisions(decision: str, normalise: str) -> None:
    evidence, truth = toy(num_actors=6, num_folds=3)
    fold = np.flatnonzero(evidence.folds == 2)
    protocol = rules(decision, normalise)
    honest = evaluate(evidence, truth, protocol)
    blind = evaluate(evidence, shuffled(truth, fold, 1), protocol)
    assert [honest.mixtures[row] for row in fold] == [blind.mixtures[row] for row in fold]
    assert honest.folds[2].parameters == blind.folds[2].parameters
    assert (
        honest.folds[2].numbers["presence_accuracy"] > blind.folds[2].numbers["presence_accuracy"]
        or "most" in decision
    )


@pytest.mark.parametrize("calibrate", ["temperature", "vector", "isotonic"])
@pytest.mark.parametrize("normalise", ["none", "actor"])
@pytest.mark.parametrize("decision", ["thresholds", "bayes"])
def test_labels_of_the_reported_fold_do_not_touch_its_calibration(
    decision: str, normalise: str, calibrate: str
) -> None:
    evidence, truth = toy(num_actors=6, num_folds=3)
    fold = np.flatnonzero(evidence.folds == 2)
    protocol = Protocol(decision, normalise, calibrate=calibrate)
    honest = evaluate(evidence, truth, protocol)
    blind = evaluate(evidence, shuffled(truth, fold, 1), protocol)
    assert [honest.mixtures[row] for row in fold] == [blind.mixtures[row] for row in fold]
    assert honest.folds[2].parameters == blind.folds[2].parameters
    # A shift and a scale per emotion is undone by the standardisation that bayes starts with.
    changes = decision == "thresholds" or calibrate == "isotonic"
    assert changes is (honest.decided != evaluate(evidence, truth, Protocol(decision, normalise)).decided)


def test_below_the_minimum_there_is_no_normalisation_and_many_clips_are_nearly_all() -> None:
    evidence, truth = toy()
    none, few, many, everything = (
        evaluate(evidence, truth, protocol)
        for protocol in (
            Protocol("templates"),
            Protocol("templates", "actor", enrol_clips=4, enrol_minimum=5),
            Protocol("templates", "actor", enrol_clips=35),
            Protocol("templates", "actor"),
        )
    )
    assert few.decided == none.decided
    assert many.measured["score"].value == pytest.approx(everything.measured["score"].value, abs=0.03)


def test_few_clips_are_held_against_the_people_fitted_on() -> None:
    """Nothing of a fold reaches the normalisation of another: not even its unlabelled clips."""
    evidence, truth = toy()
    rules = Protocol("templates", "actor", enrol_clips=2)
    first = evidence.folds == 0
    moved = np.where((evidence.actors == evidence.actors[first][0])[:, None, None], 50.0, 0.0)
    changed = replace(evidence, logits=evidence.logits + moved, given_probabilities=None)
    before, after = (evaluate(one, truth, rules) for one in (evidence, changed))
    others = first & (evidence.actors != evidence.actors[first][0])
    assert others.any()
    assert [before.mixtures[row] for row in np.flatnonzero(others)] == [
        after.mixtures[row] for row in np.flatnonzero(others)
    ]
    known = [one.decisions[0].known for one in (before, after)]
    assert known[0] is not None and known[1] is not None
    np.testing.assert_array_equal(known[0].logits.mean, known[1].logits.mean)


@pytest.mark.parametrize("decision", DECISIONS)
def test_without_normalisation_a_decision_sees_one_clip_of_its_fold_at_a_time(decision: str) -> None:
    evidence, truth = toy(num_actors=6, num_folds=3)
    kept, changed = np.flatnonzero(evidence.folds == 1)[[0, 1]], np.flatnonzero(evidence.folds == 1)[2:]
    logits = evidence.logits.copy()
    logits[changed] = np.random.default_rng(3).normal(size=logits[changed].shape)
    before = evaluate(evidence, truth, Protocol(decision)).decided
    after = evaluate(replace(evidence, logits=logits), truth, Protocol(decision)).decided
    assert [before[row] for row in kept] == [after[row] for row in kept]


@pytest.mark.parametrize("decision", LEARNED)
def test_with_permuted_labels_the_score_falls_to_chance(decision: str) -> None:
    """Chance is what answering without looking gives: the better of the two trivial baselines."""
    evidence, truth = toy()
    nonsense = shuffled(truth, np.arange(len(truth)), 5)
    trivial = max(
        evaluate(evidence, nonsense, Protocol(name)).measured["score"].value
        for name in ("most-frequent-single", "most-frequent-blend")
    )
    learned = evaluate(evidence, truth, Protocol(decision)).measured["score"]
    assert learned.span[0] > 0.3
    chance = evaluate(evidence, nonsense, Protocol(decision)).measured["score"]
    assert chance.value < trivial + 0.04


@pytest.mark.parametrize("decision", ["thresholds", "bayes"])
def test_what_is_judged_may_differ_from_what_is_fitted_on(decision: str) -> None:
    """As where a modality is taken away: the same decisions, made on other scores of the same clips."""
    evidence, truth = toy(num_actors=6, num_folds=3)
    plain = evaluate(evidence, truth, Protocol(decision))
    same = evaluate(evidence, truth, Protocol(decision), judged=evidence)
    assert same.decided == plain.decided
    rng = np.random.default_rng(1)
    noise = replace(
        evidence, logits=rng.normal(size=evidence.logits.shape), states=rng.normal(size=(len(truth), 36))
    )
    blind = evaluate(evidence, truth, Protocol(decision), judged=noise)
    assert [fold.parameters for fold in blind.folds] == [fold.parameters for fold in plain.folds]
    assert blind.measured["score"].value < plain.measured["score"].value / 2


def test_in_fold_thresholds_are_never_below_cross_fold() -> None:
    evidence, truth = toy()
    inside, across = (
        evaluate(evidence, truth, Protocol("thresholds", tune=tune)).folds
        for tune in ("in-fold", "cross-fold")
    )
    for one, other in zip(inside, across, strict=True):
        assert (
            one.numbers["presence_accuracy"] + one.numbers["salience_accuracy"]
            >= other.numbers["presence_accuracy"] + other.numbers["salience_accuracy"]
        )


def test_folds_and_means_agree() -> None:
    evidence, truth = toy()
    result = evaluate(evidence, truth, Protocol("templates"))
    assert [fold.fold for fold in result.folds] == [0, 1, 2, 3, 4]
    assert sum(fold.clips for fold in result.folds) == len(truth)
    presence = [fold.numbers["presence_accuracy"] for fold in result.folds]
    salience = [fold.numbers["salience_accuracy"] for fold in result.folds]
    assert result.measured["presence_accuracy"].value == pytest.approx(np.mean(presence), abs=1e-12)
    assert result.measured["salience_accuracy"].value == pytest.approx(np.mean(salience), abs=1e-12)


def test_decisions_follow_the_clips_in_any_order() -> None:
    evidence, truth = toy()
    order = np.random.default_rng(0).permutation(len(truth))
    straight = evaluate(evidence, truth, Protocol("thresholds")).decided
    mixed = evaluate(evidence.take(order), [truth[row] for row in order], Protocol("thresholds")).decided
    assert mixed == [straight[row] for row in order]


@pytest.mark.parametrize("decision", DECISIONS)
def test_two_runs_are_equal(decision: str) -> None:
    evidence, truth = toy(num_actors=6, num_folds=3)
    first, again = (evaluate(evidence, truth, rules(decision)) for _ in range(2))
    assert first.decided == again.decided
    assert first.measured == again.measured


@pytest.mark.parametrize("decision", LEARNED)
def test_two_folds_and_uneven_actors_are_enough(decision: str) -> None:
    """With one other fold, the knob is chosen over groups of actors; with one other actor not at all."""
    evidence, truth = toy(num_actors=3, num_folds=2)
    assert len(evaluate(evidence, truth, Protocol(decision)).folds) == 2


@pytest.mark.parametrize("decision", [name for name in DECISIONS if name != "most-frequent-blend"])
@pytest.mark.parametrize("all_folds", [False, True])
def test_folds_without_blends(decision: str, all_folds: bool) -> None:
    evidence, truth = toy()
    is_single = np.array([not mixture.is_blend for mixture in truth])
    rows = np.flatnonzero(is_single | ((evidence.folds > 0) & (not all_folds)))
    result = evaluate(evidence.take(rows), [truth[row] for row in rows], Protocol(decision))
    assert result.folds[0].numbers["salience_accuracy"] == 0.0
    none = result.measured["salience_accuracy"].value == 0.0
    assert all_folds is none or decision in (*NEVER_BLENDS, *OF_STATES)


def test_no_blend_anywhere_has_no_most_frequent_one() -> None:
    evidence, truth = toy()
    rows = np.flatnonzero([not mixture.is_blend for mixture in truth])
    with pytest.raises(InputError, match="no blend among the 48 clips fitted on"):
        evaluate(evidence.take(rows), [truth[row] for row in rows], Protocol("most-frequent-blend"))


def test_one_fold_has_nothing_to_fit_on() -> None:
    evidence, truth = toy(num_actors=2, num_folds=1)
    with pytest.raises(
        InputError, match=r"needs scores of at least two folds, got only fold \[0\]; score all folds, or use"
    ):
        evaluate(evidence, truth, Protocol("thresholds"))
    assert len(evaluate(evidence, truth, Protocol("thresholds", tune="in-fold")).folds) == 1


def test_labels_and_scores_must_be_of_as_many_clips() -> None:
    evidence, truth = toy()
    with pytest.raises(InputError, match="got 359 labels for the scores of 360 clips"):
        evaluate(evidence, truth[:-1], Protocol("thresholds"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"decision": "threshold"}, "unknown decision 'threshold': did you mean 'thresholds'?"),
        ({"decision": "setratio"}, "unknown decision 'setratio': did you mean 'set-ratio'?"),
        ({"normalise": "actors"}, "unknown normalisation 'actors': did you mean 'actor'?"),
        ({"calibrate": "actor"}, "write --normalise actor, or in a file `normalise: actor`"),
        ({"calibrate": "none"}, "which is called normalisation now: write --normalise none"),
        ({"tune": "infold"}, "unknown tuning 'infold': did you mean 'in-fold'?"),
        (
            {"decision": "bayes", "tune": "in-fold"},
            "another decision fitted on the fold that it is judged on reports its own training labels. "
            "Use --tune cross-fold with --decision bayes",
        ),
        ({"calibrate": "isotone"}, "unknown calibration 'isotone': did you mean 'isotonic'?"),
        (
            {"calibrate": "vector", "tune": "in-fold"},
            "--calibrate vector is fitted on other folds only: use --tune cross-fold",
        ),
        (
            {"decision": "expected-score", "normalise": "actor"},
            "'expected-score' decodes a model's own probabilities of label states, which neither",
        ),
        (
            {"decision": "expected-score", "calibrate": "vector"},
            "use normalise none and calibrate raw",
        ),
        ({"enrol_clips": 8}, "but --normalise is 'none': use --normalise actor"),
        ({"presence_weight": 1.2, "decision": "bayes"}, "presence weight must lie in [0, 1], got 1.2"),
        (
            {"presence_weight": 0.7},
            "a presence weight of 0.7 changes nothing under 'thresholds', which maximises no expected score: "
            "leave it out, or decide with bayes",
        ),
        ({"enrol_clips": 0, "normalise": "actor"}, "0 clips to enrol a person from, expected 1 or more"),
        ({"enrol_minimum": 4, "normalise": "actor"}, "but none are drawn: add --enrol-clips"),
        (
            {"enrol_minimum": 0, "enrol_clips": 4, "normalise": "actor"},
            "--enrol-minimum must be 1 or more, got 0",
        ),
    ],
)
def test_a_wrong_protocol_is_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        replace(Protocol("thresholds"), **arguments)
    assert sentence in str(raised.value)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(InputError, match="seed must be 0 or more, got -1"):
        Protocol("thresholds", seed=-1)


@pytest.mark.parametrize(
    ("protocol", "label"),
    [
        (Protocol("thresholds"), "thresholds, cross-fold"),
        (Protocol("thresholds", tune="in-fold"), "thresholds, in-fold, optimistic"),
        (Protocol("bayes", "actor"), "bayes, cross-fold, scores per actor, transductive"),
        (Protocol("bayes", presence_weight=0.75), "bayes, cross-fold, presence weight 0.75"),
        (Protocol("thresholds", calibrate="vector"), "thresholds, cross-fold, vector calibration"),
        (
            Protocol("thresholds", normalise="actor", enrol_clips=12),
            "thresholds, cross-fold, scores per actor from 12 clips, transductive",
        ),
        (
            Protocol("thresholds", normalise="actor", enrol_clips=4, enrol_minimum=8),
            "thresholds, cross-fold, scores per actor from 4 clips (below 8: not normalised), transductive",
        ),
        (
            Protocol("thresholds", normalise="actor", enrol_clips=1),
            "thresholds, cross-fold, scores per actor from 1 clip, transductive",
        ),
    ],
)
def test_the_label_carries_every_caveat(protocol: Protocol, label: str) -> None:
    assert protocol.label == label


@pytest.mark.parametrize("name", [name for name in DECISIONS if name != "most-frequent-blend"])
def test_one_clip_is_enough_to_fit_on_and_to_decide_and_none_is_refused(name: str) -> None:
    rng = np.random.default_rng(0)
    numbers, states = np.zeros(2, dtype=np.int64), rng.normal(size=(2, len(SPACE.states)))
    both = Evidence(rng.normal(size=(2, 1, 6)), numbers, numbers, SPACE, states=states)
    nobody = both.take(numbers[:0])
    fitted = fit_decision(both.take(np.array([0])), [SPACE.states[0]], Protocol(name))
    assert len(fitted.decide(both)) == 2 and fitted.decide(nobody) == []
    with pytest.raises(InputError, match=f"no clip to fit the decision '{name}' on"):
        fit_decision(nobody, [], Protocol(name))
