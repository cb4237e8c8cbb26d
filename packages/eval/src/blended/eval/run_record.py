"""One run, with everything that is said about it: what reports compare and figures draw.

What its models rely on are records of their own: importance of predictors, weights of encoders, attention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.data.labels import Task
from blended.eval.estimate import Basis, Estimate
from blended.eval.evaluation import Evaluation
from blended.eval.measures import Labels
from blended.eval.tasks import TASKS

Importance = Mapping[str, Mapping[str, Estimate | float]]
"""Encoder or predictor -> pair of emotions -> drop of the score, positive where it mattered; with an interval
where there is one."""
ALL = "all clips"
"""In place of a pair."""


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """One trained run, or one trivial baseline, with everything that a report says about it."""

    name: str
    """Unique among the runs of a report, such as `late-logmel-motion`."""
    strategy: str
    """`linear`, `mlp-256`, `early`, `late`, ..., or the name of a trivial baseline."""
    features: tuple[str, ...]
    """Names of the encoders."""
    modalities: tuple[str, ...]
    """`audio`, `video`, or both; empty for a trivial baseline, which looks at nothing."""
    truth: Labels
    """One per clip: a mixture, or a row of intensities."""
    clip_ids: tuple[str, ...]
    actors: ndarray
    """[clip]: who is seen, a name or a number."""
    folds: Int[ndarray, "clip"]
    cross_fold: Evaluation
    """The headline: whatever decides was fitted on the other folds."""
    in_fold: Evaluation | None = None
    """Two thresholds tuned on the reported fold itself: optimistic, for comparison with published tables."""
    thresholds: Evaluation | None = None
    """The same two thresholds, cross-fold: what the optimistic number is to be held against. None where
    `cross_fold` is decided by them already."""
    test: Mapping[str, Estimate] | None = None
    """Measures by key on the held-out partition, by the final model refitted on all training clips."""
    run_id: str | None = None
    """Of the tracked run (MLflow)."""
    task: Task = "mixture"

    def __post_init__(self) -> None:
        """Raises InputError for fields of different lengths or an evaluation of the wrong protocol."""
        lengths = [len(self.truth), len(self.clip_ids), len(self.actors), len(self.folds)]
        lengths += [len(self.cross_fold.decided)]
        if len(set(lengths)) != 1:
            raise InputError(
                f"run {self.name!r}: truth, clip ids, actors, folds and decisions have lengths {lengths}; "
                f"expected one entry per clip in each"
            )
        tuned = (("cross-fold", self.cross_fold), ("cross-fold", self.thresholds), ("in-fold", self.in_fold))
        for tune, evaluation in tuned:
            if evaluation is not None and evaluation.protocol.tune != tune:
                raise InputError(
                    f"run {self.name!r}: an evaluation tuned {evaluation.protocol.tune} was given as its "
                    f"{tune} result; in-fold numbers are optimistic and must not be mixed up"
                )

    @property
    def actor_numbers(self) -> Int[ndarray, "clip"]:
        """A number per actor."""
        return np.unique(self.actors, return_inverse=True)[1].astype(np.int64)

    @property
    def modality(self) -> str:
        """`trivial`, the one modality, or `multimodal`."""
        if not self.modalities:
            return "trivial"
        return self.modalities[0] if len(self.modalities) == 1 else "multimodal"

    @property
    def decides(self) -> bool:
        """Whether it answers with mixtures."""
        return TASKS[self.task].decides

    @property
    def decided(self) -> Labels:
        """What it answers, cross-fold."""
        return self.cross_fold.decided

    @property
    def basis(self) -> Basis:
        """What its intervals are over."""
        return self.cross_fold.basis

    def of_mixtures(self) -> tuple[list[Mixture], list[Mixture]]:
        """Truth and decisions where it `decides`; raises TypeError elsewhere."""
        if isinstance(self.truth, ndarray) or isinstance(self.decided, ndarray):
            raise TypeError(f"run {self.name!r} answers with intensities, not with mixtures")
        return [*self.truth], [*self.decided]

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The cross-fold measures of the task, in its order."""
        return tuple(self.cross_fold.measured[one.key] for one in TASKS[self.task].measures)

    @property
    def headline(self) -> Estimate:
        """The measure that runs are ranked by, such as the challenge score."""
        return self.cross_fold.headline

    @property
    def score(self) -> float:
        """Its value."""
        return self.headline.value

    @property
    def gap(self) -> float | None:
        """In-fold minus cross-fold score of two thresholds: what tuning on the reported fold adds."""
        if self.in_fold is None:
            return None
        honest = self.thresholds.measured["score"].value if self.thresholds else self.score
        return self.in_fold.measured["score"].value - honest


@dataclass(frozen=True, slots=True)
class Attention:
    """How one stream attends to another."""

    asking: str
    """Modality."""
    answering: str
    layer: int
    """From 1."""
    lags_seconds: Sequence[float]
    """By how much later the step is that is attended to."""
    preference: Sequence[Sequence[float]]
    """Head, lag -> mean weight, as a multiple of what it had if all steps of a clip had the same."""
    nothing: Sequence[float]
    """Share of every head's attention that goes to no step."""
    clip_id: str = ""
    """Of the example."""
    asking_seconds: Sequence[float] = ()
    answering_seconds: Sequence[float] = ()
    example: Sequence[Sequence[float]] = ()
    """Asking step, answering step -> weight; rows add up to 1."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Empty where a strategy has none."""

    gates: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    """Encoder -> set of emotions -> mean weight in its clips; the encoders' add up to 1."""
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    """Encoder -> `fold0`, ..., `final` -> weight; the encoders' add up to 1."""
    attention: tuple[Attention, ...] = ()


def rank(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The best cross-fold headline, such as the challenge score, first; equal ones by name."""

    def key(record: RunRecord) -> tuple[float, str]:
        better = -record.score if TASKS[record.task].headline.larger_is_better else record.score
        return better, record.name

    return sorted(records, key=key)
