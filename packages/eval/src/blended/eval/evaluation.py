"""Labels made fold by fold under a protocol, and what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.data.labels import Task
from blended.eval.decisions.decider import IDENTITY, intensities
from blended.eval.estimate import Basis, Estimate
from blended.eval.evidence import Evidence
from blended.eval.measures import Labels, measures_of, spread_of
from blended.eval.protocol import EVEN, FittedDecision, Protocol, fit_decision, normalised, people_of
from blended.eval.tasks import TASKS


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What one fold gave."""

    fold: int
    clips: int
    numbers: Mapping[str, float]
    """Measures by key, such as presence accuracy. A fold without blends has a salience accuracy of 0, as the
    organisers have it."""
    parameters: Mapping[str, float]
    """What the decision fitted, such as alpha and beta."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Labels for all clips, and what they are worth."""

    task: Task
    protocol: Protocol
    decided: Labels
    """A mixture per clip; of intensities, the values themselves, in [0, 1]."""
    folds: list[FoldResult]
    measured: Mapping[str, Estimate]
    """Every measure of the task by its key, and no other: unweighted means over folds with 95 % intervals
    over actors."""
    basis: Basis
    """What intervals are over."""
    decisions: Mapping[int, FittedDecision] = field(default_factory=dict[int, FittedDecision])
    """Fold -> what decided its clips; empty for decisions that were only read, and for intensities."""

    @property
    def headline(self) -> Estimate:
        """What runs of the task are ranked by, such as the challenge score."""
        return self.measured[TASKS[self.task].headline.key]

    @property
    def mixtures(self) -> list[Mixture]:
        """What is decided, where it is mixtures; raises TypeError for intensities."""
        if isinstance(self.decided, ndarray):
            raise TypeError("intensities are taken as they are: there are no mixtures")
        return [*self.decided]


def evaluate(
    evidence: Evidence,
    truth: Labels,
    protocol: Protocol,
    *,
    judged: Evidence | None = None,
    fitted_on: Mapping[int, Evidence] | None = None,
    groups: Sequence[str] | None = None,
) -> Evaluation:
    """Fits and decides fold by fold, and measures; intensities are taken as they are, and nothing is fitted.

    With `judged`, scores of the same clips, decisions are fitted on `evidence` and made on those: what a
    model still knows where something was taken from it. With `fitted_on`, the decision of a fold is fitted on
    what that says for it, scores of the same clips by models that saw no label of the fold. With `groups`, a
    name per clip, enrolment clips are drawn from as few groups as possible. Raises InputError if cross-fold
    tuning is asked for with fewer than two folds, if truth and evidence are not of as many clips, or if
    intensities are to be normalised.
    """
    if len(truth) != len(evidence.folds):
        raise InputError(f"got {len(truth)} labels for the scores of {len(evidence.folds)} clips")
    if isinstance(truth, ndarray):
        protocol = of_intensities(protocol)
        values = np.array([soft.values for soft in intensities(normalised(evidence, protocol))])
        return measure(evidence, truth, values, protocol)
    names = np.unique(evidence.folds)
    if protocol.tune == "cross-fold" and len(names) < 2:
        raise InputError(
            f"cross-fold tuning needs scores of at least two folds, got only fold {names.tolist()}; "
            f"score all folds, or use --tune in-fold and call the result optimistic"
        )
    decided = [*truth]
    decisions: dict[int, FittedDecision] = {}
    for fold in names.tolist():
        held = evidence.folds == fold
        fit = held if protocol.tune == "in-fold" else ~held
        given = evidence if fitted_on is None else fitted_on[fold]
        known = people_of(given.take(fit), protocol)
        scores = normalised(given, protocol, known, groups)
        seen = normalised(judged or evidence, protocol, known, groups)
        decisions[fold] = fit_decision(scores.take(fit), list(compress(truth, fit)), protocol, known)
        predicted = decisions[fold].decide(seen.take(held))
        for row, mixture in zip(np.flatnonzero(held).tolist(), predicted, strict=True):
            decided[row] = mixture
    return measure(evidence, truth, decided, protocol, decisions)


def measure(
    evidence: Evidence,
    truth: Labels,
    decided: Labels,
    protocol: Protocol,
    decisions: Mapping[int, FittedDecision] | None = None,
) -> Evaluation:
    """What answers are worth that were made under a protocol, be it now or when a run was trained."""
    task = evidence.space.task
    measures, folds = measures_of(task), list[FoldResult]()
    for fold in np.unique(evidence.folds).tolist():
        rows = np.flatnonzero(evidence.folds == fold)
        true, said = _rows(truth, rows), _rows(decided, rows)
        numbers = {one.key: one.function(true, said) for one in measures if one.by_fold}
        parameters = decisions[fold].parameters if decisions else {}
        folds.append(FoldResult(fold, len(rows), numbers, parameters))
    spread = spread_of(measures, truth, decided, evidence.actors, evidence.folds)
    measured = {one.key: found for one, found in zip(measures, spread.estimates, strict=True)}
    return Evaluation(task, protocol, decided, folds, measured, spread.basis, decisions or {})


def of_intensities(protocol: Protocol) -> Protocol:
    """The protocol with the only decision that intensities have."""
    if protocol.normalise != "none":
        raise InputError(
            f"normalise is {protocol.normalise!r}, but scores standardised per actor are no intensities: use "
            f"normalise none; `standardise: actor` of a fusion standardises features instead"
        )
    return replace(protocol, decision=IDENTITY, calibrate="raw", presence_weight=EVEN)


def _rows(labels: Any, rows: ndarray) -> Any:
    """Not typed by shape: of both a part is returned."""
    return labels[rows] if isinstance(labels, ndarray) else [labels[row] for row in rows.tolist()]
