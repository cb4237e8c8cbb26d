"""Decisions made fold by fold under a protocol, and what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from blended.data import InputError, Mixture
from blended.eval.evidence import Evidence
from blended.eval.intervals import Estimate, ScoreEstimates, actor_bootstrap
from blended.eval.metrics import Correctness, correctness
from blended.eval.protocol import FittedDecision, Protocol, calibrated, fit_decision, people_of
from blended.eval.recall import RecallEstimates, recall_bootstrap


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What one fold gave."""

    fold: int
    clips: int
    presence_accuracy: float
    salience_accuracy: float
    parameters: Mapping[str, float]
    """What the decision fitted, such as alpha and beta."""

    @property
    def numbers(self) -> dict[str, float]:
        """Measures by key, in [0, 1]."""
        return {"presence_accuracy": self.presence_accuracy, "salience_accuracy": self.salience_accuracy}


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Decisions for all clips, and what they are worth."""

    protocol: Protocol
    decided: list[Mixture]
    compared: Correctness
    folds: list[FoldResult]
    estimates: ScoreEstimates
    """Unweighted means over folds with 95 % intervals, actors resampled within folds."""
    decisions: Mapping[int, FittedDecision] = field(default_factory=dict[int, FittedDecision])
    """Fold -> what decided its clips; empty for decisions that were only read."""
    recalls: RecallEstimates | None = None
    """Of single labels, likewise; None for tasks with blends."""

    @property
    def measured(self) -> dict[str, Estimate]:
        """Every measure by its key."""
        found = {
            "presence_accuracy": self.estimates.presence,
            "salience_accuracy": self.estimates.salience,
            "score": self.estimates.score,
        }
        if self.recalls is not None:
            found["unweighted_recall"] = self.recalls.unweighted
            found["weighted_recall"] = self.recalls.weighted
        return found


def evaluate(
    evidence: Evidence,
    truth: Sequence[Mixture],
    protocol: Protocol,
    *,
    judged: Evidence | None = None,
    groups: Sequence[str] | None = None,
) -> Evaluation:
    """Fits and decides fold by fold, and measures.

    With `judged`, scores of the same clips, decisions are fitted on `evidence` and made on those: what a
    model still knows where something was taken from it. With `groups`, a name per clip, enrolment clips are
    drawn from as few groups as possible. Raises InputError if cross-fold tuning is asked for
    with fewer than two folds, or if truth and evidence are not of as many clips.
    """
    if len(truth) != len(evidence.folds):
        raise InputError(f"got {len(truth)} labels for the scores of {len(evidence.folds)} clips")
    numbers = np.unique(evidence.folds)
    if protocol.tune == "cross-fold" and len(numbers) < 2:
        raise InputError(
            f"cross-fold tuning needs scores of at least two folds, got only fold {numbers.tolist()}; "
            f"score all folds, or use --tune in-fold and call the result optimistic"
        )
    decided: dict[int, Mixture] = {}
    folds: list[FoldResult] = []
    decisions: dict[int, FittedDecision] = {}
    for fold in numbers:
        held = evidence.folds == fold
        fit = held if protocol.tune == "in-fold" else ~held
        known = people_of(evidence.take(fit), protocol)
        scores = calibrated(evidence, protocol, known, groups)
        seen = scores if judged is None else calibrated(judged, protocol, known, groups)
        decision = fit_decision(scores.take(fit), list(compress(truth, fit)), protocol, known)
        decisions[int(fold)] = decision
        predicted = decision.decide(seen.take(held))
        decided.update(zip(np.flatnonzero(held).tolist(), predicted, strict=True))
        held_truth = list(compress(truth, held))
        folds.append(_fold_result(int(fold), held_truth, predicted, decision.parameters))
    in_order = [decided[row] for row in range(len(truth))]
    return replace(measure(evidence, truth, in_order, protocol, folds), decisions=decisions)


def measure(
    evidence: Evidence,
    truth: Sequence[Mixture],
    decided: list[Mixture],
    protocol: Protocol,
    folds: list[FoldResult] | None = None,
) -> Evaluation:
    """What decisions are worth that were made under a protocol, be it now or when a run was trained."""
    compared, where = correctness(truth, decided), (evidence.actors, evidence.folds)
    estimates = actor_bootstrap(compared, *where, seed=protocol.seed)
    recalls = None
    if evidence.space.task == "single":
        recalls = recall_bootstrap(truth, decided, *where, seed=protocol.seed)
    return Evaluation(protocol, decided, compared, folds or [], estimates, recalls=recalls)


def _fold_result(
    fold: int, truth: Sequence[Mixture], predicted: Sequence[Mixture], parameters: Mapping[str, float]
) -> FoldResult:
    compared = correctness(truth, predicted)
    blends = int(compared.is_blend.sum())
    return FoldResult(
        fold=fold,
        clips=len(truth),
        presence_accuracy=float(compared.presence.mean()),
        salience_accuracy=float(compared.salience.sum() / blends) if blends else 0.0,
        parameters=parameters,
    )
