"""What is said about recordings: records, and as tables, frames and JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from blended.data.labels import Mixture
from blended.studies.pipeline import PipelineRecord

if TYPE_CHECKING:
    pass

Row = Float[np.ndarray, "emotion"]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is said about a stretch of a file."""

    start_seconds: float
    """On the file's clock."""
    end_seconds: float
    decided: Mixture | None
    """None for intensities, which are taken as they are."""
    probabilities: Row
    """Of the final model, or intensities, in the order of the label space."""
    calibrated: Row
    """The same mapped so that it fits out-of-fold clips best: as the run's decision has it (`probabilities`),
    or else with one temperature; of scores that are normalised per person, after that."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What is said about a file."""

    path: Path
    whole: Answer
    method: str
    """`whole file`; `mean of N windows`, with the decision of most of them, where it is longer than
    anything trained on."""
    timeline: tuple[Answer, ...]
    """Answers by window; empty for a short file unless it was asked for."""
    weights: dict[str, float]
    """What each encoder counted for; together 1."""
    notes: tuple[str, ...]
    """What a reader must know: missing tracks, unusual lengths, clips unlike those trained on."""


def to_json(prediction: Prediction, emotions: Sequence[str]) -> dict[str, Any]:
    """One file's prediction; shares in percent, times in seconds on the file's clock."""
    return {
        "path": str(prediction.path),
        **answer_json(prediction.whole, emotions),
        "method": prediction.method,
        "weights": prediction.weights,
        "notes": [*prediction.notes],
        "timeline": [answer_json(answer, emotions) for answer in prediction.timeline],
    }


def answer_json(answer: Answer, emotions: Sequence[str]) -> dict[str, Any]:
    """What is said about a stretch of a file."""
    return {
        "start_seconds": round(answer.start_seconds, 6),
        "end_seconds": round(answer.end_seconds, 6),
        "state": name_of(answer.decided),
        "emotions": [{"emotion": emotion, "share": share} for emotion, share in ranked(answer.decided)],
        "probabilities": named(answer.probabilities, emotions),
        "calibrated_probabilities": named(answer.calibrated, emotions),
    }


def pipeline_json(record: PipelineRecord) -> dict[str, Any]:
    """What made the predictions."""
    return {
        "recipe": record.recipe,
        "corpus": record.config.corpus,
        "synthetic": record.synthetic,
        "identity": record.identity,
        "decision": record.config.decision.name,
        "normalise": record.config.decision.normalise,
        "scores": record.scores,
        "protocol": record.protocol,
    }


def name_of(decided: Mixture | None) -> str:
    """The label state; empty for intensities."""
    return "" if decided is None else decided.name


def ranked(mixture: Mixture | None) -> list[tuple[str, float]]:
    """Emotions with their shares in percent, the larger first; none for intensities."""
    shares = () if mixture is None else mixture.shares
    return sorted(shares, key=lambda item: (-item[1], item[0]))


def named(row: Row, emotions: Sequence[str]) -> dict[str, float]:
    """Values by emotion."""
    return {emotion: float(value) for emotion, value in zip(emotions, row, strict=True)}


def column_names(emotions: Sequence[str]) -> list[str]:
    """Of a table with a row per file: text, then numbers per emotion, then text."""
    kinds = ("share", "p", "calibrated")
    return ["path", "state", *(f"{kind}_{e}" for kind in kinds for e in emotions), "notes", "problem"]


def file_values(found: Prediction, emotions: Sequence[str]) -> dict[str, Any]:
    """A row of that table: shares in percent, probabilities in [0, 1]; an empty `problem`."""
    shares = dict(ranked(found.whole.decided))
    values: dict[str, Any] = {"path": str(found.path), "state": name_of(found.whole.decided)}
    values |= {f"share_{emotion}": shares.get(emotion, 0.0) for emotion in emotions}
    values |= {f"p_{name}": p for name, p in named(found.whole.probabilities, emotions).items()}
    values |= {f"calibrated_{name}": p for name, p in named(found.whole.calibrated, emotions).items()}
    return {**values, "notes": "; ".join(found.notes), "problem": ""}
