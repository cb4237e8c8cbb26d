"""Every decision survives being stored as JSON, to the bit."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blended.data import InputError, Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.decisions import DECISIONS, FitOptions
from blended.eval.decisions.frozen import freeze, thaw
from blended.eval.evidence import Evidence
from blended.eval.probabilities import PROBABILITIES
from blended.eval.protocol import Protocol, calibrated, fit_decision, people_of

NUM_CLIPS = 72


def evidence(seed: int) -> Evidence:
    rng = np.random.default_rng(seed)
    actors = np.arange(NUM_CLIPS) % 6
    states = np.log(rng.dirichlet(np.ones(len(SPACE.states)), NUM_CLIPS))
    return Evidence(rng.normal(size=(NUM_CLIPS, 2, 6)), actors, actors % 3, SPACE, states=states)


@pytest.mark.parametrize("name", DECISIONS)
def test_a_stored_decision_decides_alike(name: str) -> None:
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    decider: Any = DECISIONS[name](evidence(0), truth, FitOptions())
    stored = json.dumps(freeze(decider))
    again = thaw(json.loads(stored))
    assert type(again) is type(decider)
    assert again.decide(evidence(1)) == decider.decide(evidence(1))
    assert again.parameters == decider.parameters
    if hasattr(decider, "posterior"):
        np.testing.assert_array_equal(again.posterior(evidence(1)), decider.posterior(evidence(1)))


@pytest.mark.parametrize("probabilities", PROBABILITIES)
def test_a_stored_decision_keeps_its_map_of_probabilities(probabilities: str) -> None:
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    protocol = Protocol("bayes", probabilities=probabilities, presence_weight=0.9)
    fitted = fit_decision(evidence(0), truth, protocol)
    again: Any = thaw(json.loads(json.dumps(freeze(fitted))))
    other = evidence(1)
    np.testing.assert_array_equal(again.adjust(other).logits, fitted.adjust(other).logits)
    assert again.decide(other) == fitted.decide(other)
    assert again.decider.presence_weight == 0.9


def test_a_stored_decision_keeps_what_it_knows_of_people() -> None:
    """So that a stranger is calibrated as in evaluation; certainty without end survives too."""
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    protocol = Protocol("templates", "actor", enrol_clips=2)
    known = people_of(evidence(0), protocol)
    assert known is not None and np.isinf(known.logits.within_clips).any()
    scores = calibrated(evidence(0), protocol, known)
    again: Any = thaw(json.loads(json.dumps(freeze(fit_decision(scores, truth, protocol, known)))))
    fresh = calibrated(evidence(1), protocol, again.known)
    np.testing.assert_array_equal(fresh.inputs(), calibrated(evidence(1), protocol, known).inputs())
    assert people_of(evidence(0), Protocol("templates")) is None
    assert people_of(evidence(0), replace(protocol, enrol_minimum=3)) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        "text",
        [1, (2.5, "b")],
        {3: "a", "b": (1,)},
        Mixture({"a": 33.3, "b": 66.7}),
        SPACE,
    ],
)
def test_plain_values(value: object) -> None:
    again = thaw(json.loads(json.dumps(freeze(value))))
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize(
    "value", [np.array([[0.1, 1e-300]]), np.zeros((0, 3)), np.array([True]), np.array(3)]
)
def test_arrays_keep_values_shape_and_type(value: np.ndarray) -> None:
    again = thaw(json.loads(json.dumps(freeze(value))))
    assert again.dtype == value.dtype
    np.testing.assert_array_equal(again, value)
    assert again.shape == value.shape


@pytest.mark.parametrize("value", [print, object(), np.array([object()])])
def test_what_is_no_data_is_not_stored(value: object) -> None:
    with pytest.raises(TypeError, match="cannot store"):
        freeze(value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"record": "os:system", "fields": {}}, "names 'os:system', expected something of blended.eval"),
        ({"estimator": "subprocess:Popen", "fields": {}}, "expected something of sklearn"),
        ({"record": "blended.eval.decisions.bayes:fit_bayes", "fields": {}}, "which is no class"),
        ({"estimator": "sklearn.utils:Bunch", "fields": {}}, "is no estimator"),
        ({"record": "blended.eval.gone:Thing", "fields": {}}, "which is not installed"),
        (
            {"record": "blended.eval.decisions.bayes:Bayes", "fields": {}},
            "a stored decision is of another version .*missing.*: train again",
        ),
        ({"what": 1}, "which this version cannot read"),
        ([1], "which this version cannot read"),
    ],
)
def test_an_edited_file_runs_nothing(data: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        thaw(data)
