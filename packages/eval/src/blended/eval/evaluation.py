"""Decisions made fold by fold under a protocol, and what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from blended.data import InputError, Mixture
from blended.data.labels import Task
from blended.eval.evidence import Evidence
from blended.eval.intervals import Basis, Estimate, ScoreEstimates, score_spread
from blended.eval.metrics import Correctness, correctness, presence_accuracy, salience_accuracy
from blended.eval.protocol import FittedDecision, Protocol, fit_decision, normalised, people_of
from blended.eval.recall import RecallEstimates, recall_spread, recalls


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What one fold gave."""

    fold: int
    clips: int
    numbers: Mapping[str, float]
    """Measures by key, in [0, 1]: presence and salience accuracy, or of single labels the recalls. A fold
    without blends has a salience accuracy of 0, as the organisers have it."""
    parameters: Mapping[str, float]
    """What the decision fitted, such as alpha and beta."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Decisions for all clips, and what they are worth."""

    protocol: Protocol
    decided: list[Mixture]
    compared: Correctness
    folds: list[FoldResult]
    of_blends: ScoreEstimates | None
    """Unweighted means over folds with 95 % intervals over actors; None for tasks without blends, which have
    neither a salience nor a score."""
    basis: Basis
    """What intervals are over."""
    decisions: Mapping[int, FittedDecision] = field(default_factory=dict[int, FittedDecision])
    """Fold -> what decided its clips; empty for decisions that were only read."""
    recalls: RecallEstimates | None = None
    """Of single labels, likewise; None for tasks with blends."""

    @property
    def estimates(self) -> ScoreEstimates:
        """`of_blends` where there is one; raises TypeError elsewhere."""
        if self.of_blends is None:
            raise TypeError("single labels have no salience and no score: ask for what is `measured`")
        return self.of_blends

    @property
    def measured(self) -> dict[str, Estimate]:
        """Every measure of the task by its key, and no other."""
        if self.recalls is not None:
            return {
                "unweighted_recall": self.recalls.unweighted,
                "weighted_recall": self.recalls.weighted,
            }
        found = self.estimates
        return {
            "presence_accuracy": found.presence,
            "salience_accuracy": found.salience,
            "score": found.score,
        }


def evaluate(
    evidence: Evidence,
    truth: Sequence[Mixture],
    protocol: Protocol,
    *,
    judged: Evidence | None = None,
    fitted_on: Mapping[int, Evidence] | None = None,
    groups: Sequence[str] | None = None,
) -> Evaluation:
    """Fits and decides fold by fold, and measures.

    With `judged`, scores of the same clips, decisions are fitted on `evidence` and made on those: what a
    model still knows where something was taken from it. With `fitted_on`, the decision of a fold is fitted on
    what that says for it, scores of the same clips by models that saw no label of the fold. With `groups`, a
    name per clip, enrolment clips are drawn from as few groups as possible. Raises InputError if cross-fold
    tuning is asked for with fewer than two folds, or if truth and evidence are not of as many clips.
    """
    if len(truth) != len(evidence.folds):
        raise InputError(f"got {len(truth)} labels for the scores of {len(evidence.folds)} clips")
    names = np.unique(evidence.folds)
    if protocol.tune == "cross-fold" and len(names) < 2:
        raise InputError(
            f"cross-fold tuning needs scores of at least two folds, got only fold {names.tolist()}; "
            f"score all folds, or use --tune in-fold and call the result optimistic"
        )
    decided: dict[int, Mixture] = {}
    folds: list[FoldResult] = []
    decisions: dict[int, FittedDecision] = {}
    for fold in names:
        held = evidence.folds == fold
        fit = held if protocol.tune == "in-fold" else ~held
        given = evidence if fitted_on is None else fitted_on[int(fold)]
        known = people_of(given.take(fit), protocol)
        scores = normalised(given, protocol, known, groups)
        seen = normalised(judged or evidence, protocol, known, groups)
        decision = fit_decision(scores.take(fit), list(compress(truth, fit)), protocol, known)
        decisions[int(fold)] = decision
        predicted = decision.decide(seen.take(held))
        decided.update(zip(np.flatnonzero(held).tolist(), predicted, strict=True))
        held_truth = list(compress(truth, held))
        numbers = _numbers(held_truth, predicted, evidence.space.task)
        folds.append(FoldResult(int(fold), len(held_truth), numbers, decision.parameters))
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
    if evidence.space.task == "single":
        spread = recall_spread(truth, decided, *where)
        of_singles = RecallEstimates(*spread.estimates)
        return Evaluation(protocol, decided, compared, folds or [], None, spread.basis, recalls=of_singles)
    spread = score_spread(compared, *where)
    found = ScoreEstimates(*spread.estimates)
    return Evaluation(protocol, decided, compared, folds or [], found, spread.basis)


def _numbers(truth: Sequence[Mixture], predicted: Sequence[Mixture], task: Task) -> dict[str, float]:
    """The measures of a fold."""
    if task == "single":
        found = recalls(truth, predicted)
        return {"unweighted_recall": found.unweighted, "weighted_recall": found.weighted}
    return {
        "presence_accuracy": presence_accuracy(truth, predicted),
        "salience_accuracy": salience_accuracy(truth, predicted),
    }
