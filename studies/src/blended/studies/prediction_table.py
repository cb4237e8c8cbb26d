"""Predictions as plain data: JSON for programs, rows for tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blended.data import InputError
from blended.data.labels import Mixture
from blended.studies.enrolment import Enrolment, check_enrolment, enrol, min_clips
from blended.studies.media_files import media_files
from blended.studies.pipeline import PipelineRecord
from blended.studies.prediction import Answer, Prediction, Predictor, Row


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


def rows(predictor: Predictor, paths: Sequence[Path], enrol_from: Path | None) -> dict[str, list[Any]]:
    """A table with a row per file as columns; a file without an answer has a `problem` and NaN."""
    enrolment = enrolled(predictor, enrol_from)
    emotions = predictor.pipeline.space.emotions
    table: dict[str, list[Any]] = {name: [] for name in column_names(emotions)}
    for path in paths:
        for name, value in _row(predictor, path, enrolment).items():
            table[name].append(value)
    return table


def enrolled(predictor: Predictor, folder: Path | None) -> Enrolment | None:
    """The clips of a folder as a person's; raises InputError where they are needed and none are named."""
    record = predictor.pipeline.record
    check_enrolment(record, given=folder is not None)
    if folder is None:
        return None
    return enrol(media_files([folder]), predictor.features, min_clips(record))


def column_names(emotions: Sequence[str]) -> list[str]:
    """Of `rows`: text, then numbers per emotion, then text."""
    kinds = ("share", "p", "calibrated")
    return ["path", "state", *(f"{kind}_{e}" for kind in kinds for e in emotions), "notes", "problem"]


def _row(predictor: Predictor, path: Path, enrolment: Enrolment | None) -> dict[str, Any]:
    emotions = predictor.pipeline.space.emotions
    empty: dict[str, Any] = dict.fromkeys(column_names(emotions), float("nan"))
    empty |= {"path": str(path), "state": "", "notes": "", "problem": ""}
    try:
        found = predictor.predict(path, enrolment=enrolment)
    except InputError as error:
        return {**empty, "problem": str(error)}
    shares = dict(ranked(found.whole.decided))
    values = {f"share_{emotion}": shares.get(emotion, 0.0) for emotion in emotions}
    values |= {f"p_{name}": p for name, p in named(found.whole.probabilities, emotions).items()}
    values |= {f"calibrated_{name}": p for name, p in named(found.whole.calibrated, emotions).items()}
    return {**empty, **values, "state": name_of(found.whole.decided), "notes": "; ".join(found.notes)}
