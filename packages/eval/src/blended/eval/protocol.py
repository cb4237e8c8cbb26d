"""Who may be fitted on what: the protocol under which decisions are evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from blended.data import InputError, Mixture
from blended.data.errors import unknown_name
from blended.eval.calibration import (
    CALIBRATIONS,
    MIN_ENROL_CLIPS,
    TRANSDUCTIVE,
    check_enrol_clips,
    standardise_from_enrolment,
)
from blended.eval.decisions import DECISIONS, OF_STATES, WEIGHTED, Decider, FitOptions
from blended.eval.decisions.identity import IDENTITY
from blended.eval.evidence import Evidence
from blended.eval.intervals import Estimate, ScoreEstimates, actor_bootstrap
from blended.eval.metrics import Correctness, correctness
from blended.eval.probabilities import PROBABILITIES, Adjust, fit_probabilities
from blended.eval.recall import RecallEstimates, recall_bootstrap

TUNES = ("cross-fold", "in-fold")
PRETRAINED = "transductive: pre-trained on unlabelled clips of all folds"
EVEN = 0.5
"""The challenge's weight of presence."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How scores become decisions."""

    decision: str = "thresholds"
    """A name in DECISIONS."""
    calibrate: str = "none"
    """A name in CALIBRATIONS; `actor` is transductive."""
    tune: str = "cross-fold"
    """`cross-fold`: fitted on the other folds. `in-fold`: on the reported fold itself, optimistic."""
    seed: int = 0
    features_per_actor: bool = False
    """The scores come from features standardised per actor: transductive, so the label says it."""
    probabilities: str = "raw"
    """A name in PROBABILITIES: how they are mapped, after `calibrate`, by what other folds teach."""
    enrol_clips: int | None = None
    """Calibrate per actor from so many random clips of each only; None: from all."""
    presence_weight: float = 0.5
    """Weight of presence accuracy in the score that learned decisions maximise, in [0, 1]; the challenge
    has 0.5. What is reported is never weighted by it."""
    pretrained: bool = False
    """The network began with weights learned from unlabelled clips of this corpus, the reported fold's among
    them: transductive, so the label says it."""

    def __post_init__(self) -> None:
        """Raises InputError for an unknown name, a negative seed, or what cannot be combined."""
        if self.decision not in (*DECISIONS, IDENTITY):
            raise unknown_name("decision", self.decision, DECISIONS)
        if self.calibrate not in CALIBRATIONS:
            raise unknown_name("calibration", self.calibrate, CALIBRATIONS)
        if self.tune not in TUNES:
            raise unknown_name("tuning", self.tune, TUNES)
        if self.probabilities not in PROBABILITIES:
            raise unknown_name("probabilities", self.probabilities, PROBABILITIES)
        self._check_enrolment()
        if self.tune == "in-fold" and self.probabilities != "raw":
            raise InputError(
                f"--probabilities {self.probabilities} is fitted on other folds only: use --tune cross-fold"
            )
        if self.tune == "in-fold" and self.decision != "thresholds":
            raise InputError(
                f"--tune in-fold exists only to compare thresholds with published numbers: another decision "
                f"fitted on the fold that it is judged on reports its own training labels. Use "
                f"--tune cross-fold with --decision {self.decision}"
            )
        if self.seed < 0:
            raise InputError(f"seed must be 0 or more, got {self.seed}")
        self._check_weight()
        if self.decision in OF_STATES and (self.calibrate, self.probabilities) != ("none", "raw"):
            raise InputError(
                f"{self.decision!r} decodes a model's own probabilities of label states, which neither "
                f"calibration nor maps of emotions leave probabilities: use calibrate none and probabilities "
                f"raw, or decide with bayes, which takes them as inputs"
            )

    def _check_weight(self) -> None:
        if not 0 <= self.presence_weight <= 1:
            raise InputError(f"presence weight must lie in [0, 1], got {self.presence_weight:g}")
        if self.presence_weight != EVEN and self.decision not in WEIGHTED:
            raise InputError(
                f"a presence weight of {self.presence_weight:g} changes nothing under {self.decision!r}, "
                f"which maximises no expected score: leave it out, or decide with "
                f"{' or '.join(sorted(WEIGHTED))}"
            )

    def _check_enrolment(self) -> None:
        if self.enrol_clips is None:
            return
        if self.calibrate != "actor":
            raise InputError(
                f"--enrol-clips {self.enrol_clips} says what an actor is calibrated from, but --calibrate "
                f"is {self.calibrate!r}: use --calibrate actor"
            )
        check_enrol_clips(self.enrol_clips)

    @property
    def transductive(self) -> bool:
        """Whether several unlabelled clips of a person are needed to judge one of them."""
        return self.calibrate in TRANSDUCTIVE or self.features_per_actor

    @property
    def label(self) -> str:
        """In words, with every caveat that a reader must see."""
        notes = [self.decision, self.tune]
        notes += ["optimistic"] if self.tune == "in-fold" else []
        notes += [f"scores per {self.calibrate}{self._enrolment}"] if self.calibrate in TRANSDUCTIVE else []
        notes += [f"{self.probabilities} probabilities"] if self.probabilities != "raw" else []
        notes += [f"presence weight {self.presence_weight:g}"] if self.presence_weight != EVEN else []
        notes += ["features per actor"] if self.features_per_actor else []
        notes += ["transductive"] if self.transductive else []
        notes += [PRETRAINED] if self.pretrained else []
        return ", ".join(notes)

    @property
    def _enrolment(self) -> str:
        if self.enrol_clips is None:
            return ""
        few = f" (below {MIN_ENROL_CLIPS}: not calibrated)" if self.enrol_clips < MIN_ENROL_CLIPS else ""
        return f" from {self.enrol_clips} clips{few}"


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
    decisions: Mapping[int, "FittedDecision"] = field(default_factory=dict[int, "FittedDecision"])
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


def calibrated(evidence: Evidence, protocol: Protocol) -> Evidence:
    """The scores that decisions are made from, before any probabilities are mapped; needs no labels."""
    if protocol.enrol_clips is None:
        return CALIBRATIONS[protocol.calibrate](evidence)
    return standardise_from_enrolment(evidence, protocol.enrol_clips, protocol.seed)


@dataclass(frozen=True, slots=True, eq=False)
class FittedDecision:
    """Everything between calibrated scores and mixtures, fitted; plain data that `frozen` can store."""

    adjust: Adjust
    """What maps the probabilities of every model."""
    decider: Decider

    @property
    def parameters(self) -> Mapping[str, float]:
        """What the decision fitted or chose."""
        return self.decider.parameters

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """One mixture per clip of calibrated evidence, in its order."""
        return self.decider.decide(self.adjust(evidence))


def fit_decision(scores: Evidence, truth: Sequence[Mixture], protocol: Protocol) -> FittedDecision:
    """Fits what a protocol asks for on all the given clips, whose scores are `calibrated` already.

    Raises InputError for `identity`, which decides intensities only.
    """
    if protocol.decision not in DECISIONS:
        raise InputError(
            f"the decision {protocol.decision!r} is of intensities, not of mixtures: use one of "
            f"{', '.join(DECISIONS)}"
        )
    adjust = fit_probabilities(protocol.probabilities, scores, truth)
    options = FitOptions(protocol.seed, protocol.presence_weight)
    return FittedDecision(adjust, DECISIONS[protocol.decision](adjust(scores), truth, options))


def evaluate(
    evidence: Evidence, truth: Sequence[Mixture], protocol: Protocol, *, judged: Evidence | None = None
) -> Evaluation:
    """Fits and decides fold by fold, and measures.

    With `judged`, scores of the same clips, decisions are fitted on `evidence` and made on those: what a
    model still knows where something was taken from it. Raises InputError if cross-fold tuning is asked for
    with fewer than two folds, or if truth and evidence are not of as many clips.
    """
    if len(truth) != len(evidence.folds):
        raise InputError(f"got {len(truth)} labels for the scores of {len(evidence.folds)} clips")
    scores = calibrated(evidence, protocol)
    seen = scores if judged is None else calibrated(judged, protocol)
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
        decision = fit_decision(scores.take(fit), list(compress(truth, fit)), protocol)
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
