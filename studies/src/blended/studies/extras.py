"""What a run may leave beside its predictions: tables that not every run has, for the report and MLflow.

enrolment.csv       score against clips of a person, where scores are normalised per actor
importance.json     encoder -> pair of emotions -> [loss of score where it is permuted, low, high]
predictors.json     the same for every named predictor, such as `units: AU12`
weights.json        what fusion counts encoders for, and what streams attend to (`Weights`)
without.json        modality left out -> [presence, salience accuracy, score], each [value, low, high]
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from blended.data.atomic import write_text
from blended.eval.enrolment_curve import EnrolmentPoint, enrolment_curve, read_curve, write_curve
from blended.eval.estimate import Estimate
from blended.eval.evidence import Evidence
from blended.eval.protocol import Protocol
from blended.eval.run_record import Importance, Weights
from blended.studies.run_files import ENROLMENT, EXTRAS, IMPORTANCE, PREDICTORS, WEIGHTS, WITHOUT

CURVE_CLIPS, CURVE_REPEATS = (1, 2, 4, 8, 16), 2
"""Of a run's own curve, and draws of clips per number: every one is a cross-fitted decision.
`blended evaluate --enrolment-curve` has more of both."""

Without = Mapping[str, tuple[Estimate, ...]]
"""Modality left out -> presence accuracy, salience accuracy and score."""
_WEIGHTS = TypeAdapter(Weights)


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """Empty where a run has none."""

    enrolment: list[EnrolmentPoint] = field(default_factory=list[EnrolmentPoint])
    importance: Importance | None = None
    """Of encoders."""
    predictors: Importance | None = None
    """Of named predictors, the largest loss first."""
    without: Without = field(default_factory=dict[str, tuple[Estimate, ...]])
    weights: Weights | None = None


def curve(
    evidence: Evidence, truth: Any, protocol: Protocol, fitted_on: Mapping[int, Evidence] | None = None
) -> list[EnrolmentPoint]:
    """Score against clips of a person, for a protocol that standardises scores per actor; else none."""
    if protocol.normalise != "actor" or protocol.enrol_clips is not None:
        return []
    most = int(np.unique(evidence.actors, return_counts=True)[1].max()) - 1
    ks = [clips for clips in CURVE_CLIPS if clips <= most]
    return enrolment_curve(
        evidence, truth, protocol, ks, repeats=CURVE_REPEATS, seed=protocol.seed, fitted_on=fitted_on
    )


def write_extras(folder: Path, extras: Extras) -> None:
    """Writes what there is and removes what an earlier run left."""
    for name in EXTRAS:
        (folder / name).unlink(missing_ok=True)
    if extras.enrolment:
        write_curve(folder / ENROLMENT, extras.enrolment)
    for name, importance in ((IMPORTANCE, extras.importance), (PREDICTORS, extras.predictors)):
        if importance is not None:
            table = {
                key: {pair: _numbers(drop) for pair, drop in row.items()} for key, row in importance.items()
            }
            write_text(folder / name, json.dumps(table, indent=1) + "\n")
    if extras.without:
        rows = {gone: [_numbers(one) for one in estimates] for gone, estimates in extras.without.items()}
        write_text(folder / WITHOUT, json.dumps(rows, indent=1) + "\n")
    if extras.weights is not None:
        write_text(folder / WEIGHTS, _WEIGHTS.dump_json(extras.weights).decode() + "\n")


def extras_files(folder: Path) -> list[Path]:
    """What there is of them."""
    return [folder / name for name in EXTRAS if (folder / name).is_file()]


def read_extras(folder: Path) -> Extras:
    """What `write_extras` wrote."""
    without, weights = _json(folder / WITHOUT), folder / WEIGHTS
    return Extras(
        enrolment=read_curve(folder / ENROLMENT) if (folder / ENROLMENT).is_file() else [],
        importance=_importance(folder / IMPORTANCE),
        predictors=_importance(folder / PREDICTORS),
        without={gone: tuple(Estimate(*one) for one in row) for gone, row in (without or {}).items()},
        weights=_WEIGHTS.validate_json(weights.read_bytes()) if weights.is_file() else None,
    )


def _importance(path: Path) -> Importance | None:
    rows = _json(path)
    if rows is None:
        return None
    return {key: {pair: Estimate(*drop) for pair, drop in row.items()} for key, row in rows.items()}


def _numbers(drop: Estimate | float) -> list[float | None]:
    return [drop.value, drop.low, drop.high] if isinstance(drop, Estimate) else [drop, None, None]


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes()) if path.is_file() else None
