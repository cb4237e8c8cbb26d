"""Who may be fitted on what: the protocol under which decisions are evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Int
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.data.errors import unknown_name
from blended.data.people import ENOUGH_FOR_FEATURES, ENOUGH_FOR_SCORES, check_repeated, few_words
from blended.eval.calibration import CALIBRATIONS, Calibration, fit_calibration
from blended.eval.decisions import DECISIONS, OF_STATES, UNSCORED, WEIGHTED, Decider, FitOptions
from blended.eval.decisions.decider import IDENTITY
from blended.eval.evidence import Evidence
from blended.eval.normalisation import (
    MIN_ENROL_CLIPS,
    NORMALISATIONS,
    TRANSDUCTIVE,
    Populations,
    check_enrol_clips,
    populations,
    standardise_from_enrolment,
)

TUNES = ("cross-fold", "in-fold")
PRETRAINED = "transductive: pre-trained on unlabelled clips of all folds"
NESTINGS = {
    "strict": "strictly nested",
    "plain": "fitted on scores of models that saw the fold",
    "unknown": "",
}
"""Whether the models whose scores a fold's decision is fitted on saw labels of that fold -> in words."""
UNKNOWN_NESTING = (
    "it is not known what the models behind these scores saw: the decision of a fold is fitted on scores of "
    "the others, whose models may have seen that fold's labels"
)
EVEN = 0.5
"""The challenge's weight of presence."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How scores become decisions."""

    decision: str
    """A name in DECISIONS; `tasks.decision_of` says which where nobody does."""
    normalise: str = "none"
    """A name in NORMALISATIONS; `actor` is transductive."""
    tune: str = "cross-fold"
    """`cross-fold`: fitted on the other folds. `in-fold`: on the reported fold itself, optimistic."""
    seed: int = 0
    features_per_actor: bool = False
    """The scores come from features standardised per actor: transductive, so the label says it."""
    calibrate: str = "raw"
    """A name in CALIBRATIONS: how probabilities are mapped, after `normalise`, by what other folds teach."""
    enrol_clips: int | None = None
    """Normalise per actor from so many random clips of each only, as far as those can be believed; None: from
    all, with the clip that is judged."""
    presence_weight: float = 0.5
    """Weight of presence accuracy in the score that learned decisions maximise, in [0, 1]; the challenge
    has 0.5. What is reported is never weighted by it."""
    pretrained: bool = False
    """The network began with weights learned from unlabelled clips of this corpus, the reported fold's among
    them: transductive, so the label says it."""
    enrol_minimum: int = MIN_ENROL_CLIPS
    """With fewer clips than these to enrol from, an actor is not normalised."""
    nesting: str = "unknown"
    """A name in NESTINGS; `unknown` for scores of which nobody says what their models saw."""

    def __post_init__(self) -> None:
        """Raises InputError for an unknown name, a negative seed, or what cannot be combined."""
        if self.decision not in (*DECISIONS, IDENTITY):
            raise unknown_name("decision", self.decision, DECISIONS)
        check_spelling(self.calibrate)
        if self.normalise not in NORMALISATIONS:
            raise unknown_name("normalisation", self.normalise, NORMALISATIONS)
        if self.tune not in TUNES:
            raise unknown_name("tuning", self.tune, TUNES)
        if self.calibrate not in CALIBRATIONS:
            raise unknown_name("calibration", self.calibrate, CALIBRATIONS)
        if self.nesting not in NESTINGS:
            raise unknown_name("nesting", self.nesting, NESTINGS)
        self._check_enrolment()
        if self.tune == "in-fold" and self.calibrate != "raw":
            raise InputError(
                f"--calibrate {self.calibrate} is fitted on other folds only: use --tune cross-fold"
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
        if self.decision in OF_STATES and (self.normalise, self.calibrate) != ("none", "raw"):
            raise InputError(
                f"{self.decision!r} decodes a model's own probabilities of label states, which neither "
                f"normalisation nor calibration of emotions leaves probabilities: use normalise none and "
                f"calibrate raw, or decide with bayes, which takes them as inputs"
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
            if self.enrol_minimum != MIN_ENROL_CLIPS:
                raise InputError(
                    f"--enrol-minimum {self.enrol_minimum} says when enrolment clips are too few, but none "
                    f"are drawn: add --enrol-clips, or leave it out"
                )
            return
        if self.enrol_minimum < 1:
            raise InputError(f"--enrol-minimum must be 1 or more, got {self.enrol_minimum}")
        if self.normalise != "actor":
            raise InputError(
                f"--enrol-clips {self.enrol_clips} says what an actor is normalised from, but --normalise "
                f"is {self.normalise!r}: use --normalise actor"
            )
        check_enrol_clips(self.enrol_clips)

    @property
    def transductive(self) -> bool:
        """Whether several unlabelled clips of a person are needed to judge one of them."""
        return self.normalise in TRANSDUCTIVE or self.features_per_actor

    @property
    def fits(self) -> bool:
        """Whether anything is fitted on scores of other folds: else it does not matter what their models
        saw."""
        fitted = self.decision not in (*UNSCORED, IDENTITY) or self.calibrate != "raw"
        return self.tune == "cross-fold" and (fitted or self.enrol_clips is not None)

    @property
    def label(self) -> str:
        """In words, with every caveat that a reader must see."""
        notes = [self.decision, self.tune]
        notes += ["optimistic"] if self.tune == "in-fold" else []
        notes += [f"scores per {self.normalise}{self._enrolment}"] if self.normalise in TRANSDUCTIVE else []
        notes += [f"{self.calibrate} calibration"] if self.calibrate != "raw" else []
        notes += [f"presence weight {self.presence_weight:g}"] if self.presence_weight != EVEN else []
        notes += ["features per actor"] if self.features_per_actor else []
        notes += ["transductive"] if self.transductive else []
        notes += [PRETRAINED] if self.pretrained else []
        notes += [NESTINGS[self.nesting]] if self.fits and self.nesting != "unknown" else []
        return ", ".join(notes)

    @property
    def _enrolment(self) -> str:
        if self.enrol_clips is None:
            return ""
        few = (
            f" (below {self.enrol_minimum}: not normalised)" if self.enrol_clips < self.enrol_minimum else ""
        )
        return f" from {self.enrol_clips} clip{'s'[: self.enrol_clips != 1]}{few}"


def check_spelling(calibrate: str) -> None:
    """Raises InputError for what `calibrate` meant before 2026-11-28, naming what is written instead."""
    if calibrate in NORMALISATIONS:
        raise InputError(
            f"calibrate {calibrate!r} standardised scores per actor before, which is called normalisation "
            f"now: write --normalise {calibrate}, or in a file `normalise: {calibrate}` (--calibrate maps "
            f"probabilities: {', '.join(CALIBRATIONS)})"
        )


def normalised(
    evidence: Evidence,
    protocol: Protocol,
    known: Populations | None = None,
    groups: Sequence[str] | None = None,
) -> Evidence:
    """The scores that decisions are made from, before any calibration; needs no labels.

    `known` is what people are like among those that a decision is fitted on, which few enrolment clips are
    held against; without it, that of the given clips. With `groups`, a name per clip, enrolment clips are
    drawn from as few groups as possible. Raises InputError where people are compared, none are known, and too
    few of the given clips are of somebody seen before.
    """
    if known is None:
        _check_people(evidence, protocol)
    if protocol.enrol_clips is None:
        return NORMALISATIONS[protocol.normalise](evidence, known)
    count, minimum = protocol.enrol_clips, protocol.enrol_minimum
    return standardise_from_enrolment(
        evidence, count, protocol.seed, known=known, minimum=minimum, groups=groups
    )


@dataclass(frozen=True, slots=True, eq=False)
class FittedDecision:
    """Everything between normalised scores and mixtures, fitted; plain data that `frozen` can store."""

    calibration: Calibration
    """What maps the probabilities of every model."""
    decider: Decider
    known: Populations | None = None
    """What people's scores are like, before normalisation, among those fitted on: what a new person, of whom
    few clips are known, is normalised with. None where nobody is."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """What the decision fitted or chose."""
        return self.decider.parameters

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """One mixture per clip of normalised evidence, in its order."""
        return self.decider.decide(self.calibration(evidence))


def people_of(evidence: Evidence, protocol: Protocol) -> Populations | None:
    """What a person's few clips are held against; None where nobody is normalised.

    Raises InputError where too few clips are of somebody seen before (`people.MIN_REPEATS`).
    """
    return populations(evidence) if _check_people(evidence, protocol) else None


def _check_people(evidence: Evidence, protocol: Protocol) -> bool:
    """Whether clips are compared with others of their actor; raises InputError where there are too few."""
    too_few = protocol.enrol_clips is not None and protocol.enrol_clips < protocol.enrol_minimum
    if protocol.normalise not in TRANSDUCTIVE or too_few:
        return False
    check_repeated(evidence.actors, f"normalise: {protocol.normalise}")
    return True


def few_people(protocol: Protocol, people: Int[ndarray, "clip"]) -> str:
    """In words, how many of the people that clips are compared within are seen in few; empty for none.

    `people` is a number per clip. Enrolment from a given number of clips is shown by the label.
    """
    if protocol.normalise in TRANSDUCTIVE and protocol.enrol_clips is None:
        return few_words(people, ENOUGH_FOR_SCORES)
    return few_words(people, ENOUGH_FOR_FEATURES) if protocol.features_per_actor else ""


def fit_decision(
    scores: Evidence, truth: Sequence[Mixture], protocol: Protocol, known: Populations | None = None
) -> FittedDecision:
    """Fits what a protocol asks for on all the given clips, whose scores are `normalised` already.

    `known` is kept for people who come later. Raises InputError for `identity`, which decides intensities
    only, and for no clips.
    """
    if protocol.decision not in DECISIONS:
        raise InputError(
            f"the decision {protocol.decision!r} is of intensities, not of mixtures: use one of "
            f"{', '.join(DECISIONS)}"
        )
    if not truth:
        raise InputError(
            f"no clip to fit the decision {protocol.decision!r} on: expected one or more beside those judged"
        )
    calibration = fit_calibration(protocol.calibrate, scores, truth)
    options = FitOptions(protocol.seed, protocol.presence_weight)
    return FittedDecision(
        calibration, DECISIONS[protocol.decision](calibration(scores), truth, options), known
    )
