"""What a run relies on: records of which predictors matter and what fusion counts encoders for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blended.eval.estimate import Estimate

Importance = Mapping[str, Mapping[str, Estimate | float]]
"""Encoder or predictor -> pair of emotions -> drop of the score, positive where it mattered; with an interval
where there is one."""
ALL = "all clips"
"""In place of a pair."""


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
