"""What a run may leave beside its predictions: tables that not every run has, for the report and MLflow.

enrolment.csv       score against clips of a person, where scores are calibrated per actor
importance.json     predictor -> pair of emotions -> [loss of score where it is permuted, low, high]
without.json        modality left out -> [presence, salience accuracy, score], each [value, low, high]
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from blended.data.atomic import write_text
from blended.eval.enrolment_curve import EnrolmentPoint, enrolment_curve, read_curve, write_curve
from blended.eval.evidence import Evidence
from blended.eval.figures.importance import Importance
from blended.eval.intervals import Estimate
from blended.eval.protocol import Protocol

ENROLMENT, IMPORTANCE, WITHOUT = "enrolment.csv", "importance.json", "without.json"
FILES = (ENROLMENT, IMPORTANCE, WITHOUT)

CURVE_CLIPS, CURVE_REPEATS = (2, 4, 8, 16), 2
"""Of a run's own curve, and draws of clips per number: every one is a cross-fitted decision.
`blended evaluate --enrolment-curve` has more of both."""

Without = Mapping[str, tuple[Estimate, ...]]
"""Modality left out -> presence accuracy, salience accuracy and score."""


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """Empty where a run has none."""

    enrolment: list[EnrolmentPoint] = field(default_factory=list[EnrolmentPoint])
    importance: Importance | None = None
    without: Without = field(default_factory=dict[str, tuple[Estimate, ...]])


def curve(evidence: Evidence, truth: Any, protocol: Protocol) -> list[EnrolmentPoint]:
    """Score against clips of a person, for a protocol that standardises scores per actor; else none."""
    if protocol.calibrate != "actor" or protocol.enrol_clips is not None:
        return []
    most = int(np.unique(evidence.actors, return_counts=True)[1].max()) - 1
    ks = [clips for clips in CURVE_CLIPS if clips <= most]
    return enrolment_curve(evidence, truth, protocol, ks, repeats=CURVE_REPEATS, seed=protocol.seed)


def write_extras(folder: Path, extras: Extras) -> None:
    """Writes what there is and removes what an earlier run left."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    if extras.enrolment:
        write_curve(folder / ENROLMENT, extras.enrolment)
    if extras.importance is not None:
        table = {
            key: {pair: _numbers(drop) for pair, drop in row.items()}
            for key, row in extras.importance.items()
        }
        write_text(folder / IMPORTANCE, json.dumps(table, indent=1) + "\n")
    if extras.without:
        rows = {gone: [_numbers(one) for one in estimates] for gone, estimates in extras.without.items()}
        write_text(folder / WITHOUT, json.dumps(rows, indent=1) + "\n")


def read_extras(folder: Path) -> Extras:
    """What `write_extras` wrote."""
    importance, without = (_json(folder / name) for name in (IMPORTANCE, WITHOUT))
    return Extras(
        read_curve(folder / ENROLMENT) if (folder / ENROLMENT).is_file() else [],
        None
        if importance is None
        else {key: {pair: Estimate(*drop) for pair, drop in row.items()} for key, row in importance.items()},
        {gone: tuple(Estimate(*one) for one in row) for gone, row in (without or {}).items()},
    )


def _numbers(drop: Estimate | float) -> list[float]:
    return [drop.value, drop.low, drop.high] if isinstance(drop, Estimate) else [drop, drop, drop]


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes()) if path.is_file() else None
