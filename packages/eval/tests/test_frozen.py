"""Every decision survives being stored as JSON, to the bit."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from blended.data import InputError, Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.calibration import CALIBRATIONS
from blended.eval.decisions import DECISIONS, OF_STATES, FitOptions
from blended.eval.decisions.multinomial import Multinomial, fit_multinomial
from blended.eval.evidence import Evidence
from blended.eval.frozen import freeze, thaw
from blended.eval.protocol import Protocol, fit_decision, normalised, people_of

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


def arrays_of(value: object) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays_of(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_of(getattr(value, field.name))


@pytest.mark.parametrize(
    ("name", "calibrate"),
    [(name, kind) for name in DECISIONS for kind in CALIBRATIONS if name not in OF_STATES or kind == "raw"],
)
def test_arrays_have_one_memory_order_fitted_and_read(name: str, calibrate: str) -> None:
    """A sum, or a BLAS, that runs through another order has other last digits."""
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    fitted = fit_decision(evidence(0), truth, Protocol(name, calibrate=calibrate))
    again = thaw(json.loads(json.dumps(freeze(fitted))))
    ours, theirs = [*arrays_of(fitted)], [*arrays_of(again)]
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.flags.c_contiguous and other.flags.c_contiguous
        assert one.dtype == other.dtype and one.strides == other.strides


@pytest.mark.parametrize("name", ["bayes", "set-ratio"])
def test_a_clip_is_decided_by_itself_to_the_bit(name: str) -> None:
    """Alone, among others, in another order and from columns of a table: the same numbers."""
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    decider: Any = DECISIONS[name](evidence(0), truth, FitOptions())
    all_at_once = decider.posterior(evidence(1))
    by_columns = replace(
        evidence(1),
        logits=np.asfortranarray(evidence(1).logits),
        states=np.asfortranarray(evidence(1).states),
    )
    np.testing.assert_array_equal(decider.posterior(by_columns), all_at_once)
    for rows in ([5], [7, 5], [*range(NUM_CLIPS)][::-1]):
        found = decider.posterior(evidence(1).take(np.array(rows)))
        np.testing.assert_array_equal(found, all_at_once[rows])


@pytest.mark.parametrize("calibrate", CALIBRATIONS)
def test_a_stored_decision_keeps_its_calibration(calibrate: str) -> None:
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    protocol = Protocol("bayes", calibrate=calibrate, presence_weight=0.9)
    fitted = fit_decision(evidence(0), truth, protocol)
    again: Any = thaw(json.loads(json.dumps(freeze(fitted))))
    other = evidence(1)
    np.testing.assert_array_equal(again.calibration(other).logits, fitted.calibration(other).logits)
    assert again.decide(other) == fitted.decide(other)
    assert again.decider.presence_weight == 0.9


def test_a_stored_decision_keeps_what_it_knows_of_people() -> None:
    """So that a stranger is normalised as in evaluation; certainty without end survives too."""
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    protocol = Protocol("templates", "actor", enrol_clips=2)
    known = people_of(evidence(0), protocol)
    assert known is not None and np.isinf(known.logits.within_clips).any()
    scores = normalised(evidence(0), protocol, known)
    again: Any = thaw(json.loads(json.dumps(freeze(fit_decision(scores, truth, protocol, known)))))
    fresh = normalised(evidence(1), protocol, again.known)
    np.testing.assert_array_equal(fresh.inputs(), normalised(evidence(1), protocol, known).inputs())
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


def _as_before(fitted: Multinomial, scaler: dict[str, Any], regression: dict[str, Any]) -> dict[str, Any]:
    """The layout of decisions until 2026-11-27: estimators of scikit-learn by their attributes."""
    estimators = [
        {"tuple": [name, {"estimator": kind, "fields": {key: freeze(one) for key, one in given.items()}}]}
        for name, kind, given in (
            ("standardscaler", "sklearn.preprocessing._data:StandardScaler", scaler),
            ("logisticregression", "sklearn.linear_model._logistic:LogisticRegression", regression),
        )
    ]
    pipeline = {"estimator": "sklearn.pipeline:Pipeline", "fields": {"steps": {"list": estimators}}}
    kept = {name: freeze(getattr(fitted, name)) for name in ("classes", "low", "high")}
    return {
        "record": "blended.eval.decisions.multinomial:Multinomial",
        "fields": {**kept, "model": pipeline},
    }


@pytest.mark.parametrize("num_classes", [2, 5])
def test_decisions_of_before_are_read(num_classes: int) -> None:
    """Into the arrays that the library's own model holds: two classes share one row of coefficients."""
    rng = np.random.default_rng(4)
    inputs, targets = rng.normal(size=(90, 3)) * [1, 5, 0.1] + 2, rng.integers(num_classes, size=90)
    fitted = fit_multinomial(inputs, targets, inverse_penalty=0.3)
    bounded = np.clip(inputs, fitted.low, fitted.high)
    scaler = StandardScaler().fit(bounded)
    model = LogisticRegression(C=0.3, max_iter=500).fit(scaler.transform(bounded), targets)
    stored = json.dumps(_as_before(fitted, vars(scaler), vars(model)))
    again: Any = thaw(json.loads(stored))
    expected = model.predict_proba(scaler.transform(bounded))
    np.testing.assert_allclose(again.posterior(inputs, num_classes), expected, atol=1e-13)


def test_a_lone_class_of_before_is_certain() -> None:
    record = _as_before(fit_multinomial(np.ones((4, 2)), np.full(4, 1), inverse_penalty=1.0), {}, {})
    again: Any = thaw(json.loads(json.dumps({**record, "fields": {**record["fields"], "model": None}})))
    np.testing.assert_array_equal(again.posterior(np.eye(2), 3), [[0, 1, 0]] * 2)


def test_names_of_before_are_read() -> None:
    """Until 2026-11-28 a record was named with its module, and a calibration was called an adjustment."""
    truth = [SPACE.states[number % 36] for number in range(NUM_CLIPS)]
    fitted = fit_decision(evidence(0), truth, Protocol("bayes", calibrate="isotonic"))
    stored = freeze(fitted)
    fields_of = stored["fields"]
    fields_of["adjust"] = {**fields_of.pop("calibration"), "record": "blended.eval.probabilities:Adjust"}
    fields_of["decider"]["record"] = "blended.eval.decisions.bayes:Bayes"
    old: Any = thaw(json.loads(json.dumps({**stored, "record": "blended.eval.protocol:FittedDecision"})))
    assert old.decide(evidence(1)) == fitted.decide(evidence(1))


@pytest.mark.parametrize("value", [print, object(), np.array([object()])])
def test_what_is_no_data_is_not_stored(value: object) -> None:
    with pytest.raises(TypeError, match="cannot store"):
        freeze(value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"record": "os:system", "fields": {}}, "names 'os:system', expected one of FittedDecision"),
        (
            {"record": "blended.eval.decisions.bayes:fit_bayes", "fields": {}},
            "expected one of FittedDecision",
        ),
        (
            {"record": "blended.eval.decisions.multinomial:Multinomial", "fields": {"model": None}},
            "a stored decision is of another version .*missing",
        ),
        (
            {"record": "blended.eval.gone:Thing", "fields": {}},
            "names 'blended.eval.gone:Thing', expected one of",
        ),
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
