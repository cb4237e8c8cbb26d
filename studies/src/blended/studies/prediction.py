"""From new files to decisions: decode, encode, fuse, calibrate, decide."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from blended.data import InputError, Mixture, Scores
from blended.encoders.encoder import Encoder, EncoderConfig
from blended.encoders.one_file import Decoded, cut, decode, encode
from blended.encoders.table import encoder_config
from blended.encoders.threads import one_thread
from blended.eval.calibration import CALIBRATIONS
from blended.eval.evidence import gather
from blended.eval.temperature import heated
from blended.fusion.apply import apply_final
from blended.studies.enrolment import ENOUGH_CLIPS, Enrolment, Features, check_enrolment
from blended.studies.params import with_name
from blended.studies.pipeline import Pipeline, read_pipeline, version_notes
from blended.studies.windows import Windows, spans

STRANGE = 3.0
"""Root mean square of standardised features from which a clip is called unlike those trained on: 1 is
usual, and clips of the demo corpus stay below."""

SLACK_SECONDS = 0.1
"""Tracks of one recording end within a few frames of each other."""

Progress = Callable[[int, int], None]
Span = tuple[float, float]
"""Start and end in seconds on the file's clock."""
Row = Float[np.ndarray, "emotion"]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is said about a stretch of a file."""

    start_seconds: float
    """On the file's clock."""
    end_seconds: float
    decided: Mixture
    probabilities: Row
    """Of the final model, in the order of the label space."""
    calibrated: Row
    """The same with the temperature that fits out-of-fold clips best."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A stretch of a file after fusion and decision."""

    probabilities: Row
    decided: Mixture
    weights: Mapping[str, float]
    strangeness: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A pipeline with its encoders built, ready for many files."""

    pipeline: Pipeline
    encoders: dict[str, tuple[EncoderConfig, Encoder[Any]]]
    device: str

    def features(self, path: Path) -> Features:
        """Pooled features of a whole file, [1, dim] by encoder, as of a clip of a corpus."""
        with one_thread():
            return self._encode(decode(path, self.encoders))

    def predict(
        self,
        path: Path,
        *,
        enrolment: Enrolment | None = None,
        windows: Windows | None = None,
        always: bool = False,
        progress: Progress | None = None,
    ) -> Prediction:
        """Decides one file.

        A file longer than any clip trained on is answered with the mean of its windows, which are its
        timeline; with `always` others have a timeline too. Raises InputError for a file that cannot be
        decided, and where the run needs an enrolment and has none.
        """
        check_enrolment(self.pipeline.record, given=enrolment is not None)
        with one_thread():
            decoded = decode(path, self.encoders)
            span = (decoded.start_seconds, decoded.end_seconds)
            pieces = spans(*span, windows or Windows())
            long = decoded.duration_seconds > self.pipeline.record.longest_seconds and len(pieces) > 1
            parts = self._windows(path, decoded, pieces, enrolment, progress) if long or always else []
            whole = self._mean(parts) if long else self._score(path, self._encode(decoded), enrolment)
        return Prediction(
            path=path,
            whole=self._answer(span, whole),
            method=f"mean of {len(pieces)} windows" if long else "whole file",
            timeline=tuple(self._answer(piece, part) for piece, part in zip(pieces, parts, strict=False)),
            weights=dict(whole.weights),
            notes=tuple(self._notes(decoded, whole, enrolment)),
        )

    def _windows(
        self,
        path: Path,
        decoded: Decoded,
        pieces: Sequence[Span],
        enrolment: Enrolment | None,
        progress: Progress | None,
    ) -> list[Scored]:
        parts: list[Scored] = []
        for done, (start, end) in enumerate(pieces):
            if progress is not None:
                progress(done, len(pieces))
            parts.append(self._score(path, self._encode(cut(decoded, start, end)), enrolment))
        return parts

    def _encode(self, decoded: Decoded) -> Features:
        encoded = encode([decoded], self.encoders)
        return {name: torch.from_numpy(values).to(self.device) for name, values in encoded.items()}

    def _score(self, path: Path, features: Features, enrolment: Enrolment | None) -> Scored:
        """Of the last row: the rows before it are the person's other clips."""
        if enrolment is not None:
            features = enrolment.beside(path, features)
        num_rows = len(next(iter(features.values())))
        fusion, state = self.pipeline.record.config.fusion, self.pipeline.state
        try:
            applied = apply_final(fusion, state, features, ["person"] * num_rows)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        strangeness = {name: float(values[-1]) for name, values in applied.strangeness.items()}
        decided = self._decide(applied.probabilities)[-1]
        return Scored(applied.probabilities[-1], decided, applied.weights, strangeness)

    def _decide(self, probabilities: Float[np.ndarray, "clip emotion"]) -> list[Mixture]:
        """All rows as clips of one person."""
        ids = tuple(str(number) for number in range(len(probabilities)))
        scores = Scores(ids, self.pipeline.space.emotions, probabilities, "probabilities")
        evidence = gather([scores], ["person"] * len(ids), [0] * len(ids), self.pipeline.space)
        calibrated = CALIBRATIONS[self.pipeline.record.config.decision.calibrate](evidence)
        return self.pipeline.decide(calibrated)

    def _mean(self, parts: Sequence[Scored]) -> Scored:
        """Of windows: mean probabilities, and the decision of most of them (the first of equals)."""
        counts = Counter(part.decided for part in parts)
        return Scored(
            probabilities=np.mean([part.probabilities for part in parts], axis=0),
            decided=counts.most_common(1)[0][0],
            weights=parts[0].weights,
            strangeness={
                name: float(np.median([part.strangeness[name] for part in parts]))
                for name in parts[0].strangeness
            },
        )

    def _answer(self, span: Span, scored: Scored) -> Answer:
        calibrated = heated(scored.probabilities[None], self.pipeline.record.temperature)[0]
        return Answer(*span, scored.decided, scored.probabilities, calibrated)

    def _notes(self, decoded: Decoded, scored: Scored, enrolment: Enrolment | None) -> list[str]:
        record = self.pipeline.record
        notes = version_notes(record)
        if record.synthetic:
            notes.append("trained on rendered clips: this says nothing about people")
        for name, lack in decoded.missing.items():
            notes.append(f"no {lack}: {name} was left out and the weights of the others were scaled up")
        seconds, shortest, longest = decoded.duration_seconds, record.shortest_seconds, record.longest_seconds
        if not shortest - SLACK_SECONDS <= seconds <= longest + SLACK_SECONDS:
            notes.append(f"lasts {seconds:.1f} s, the clips trained on {shortest:.1f} to {longest:.1f} s")
        if enrolment is not None and len(enrolment.paths) < ENOUGH_CLIPS:
            notes.append(f"enrolled from {len(enrolment.paths)} clips; {ENOUGH_CLIPS} or more are better")
        notes += [
            f"unlike the clips trained on for {name} ({distance:.1f} times their usual distance): a face or "
            f"voice may be absent, or the recording of another kind; do not rely on the answer"
            for name, distance in scored.strangeness.items()
            if distance > STRANGE
        ]
        return notes


def open_predictor(folder: Path, *, device: str = "cpu") -> Predictor:
    """Reads a stored pipeline and builds its encoders; raises InputError if it cannot be used here."""
    pipeline = read_pipeline(folder)
    encoders: dict[str, tuple[EncoderConfig, Encoder[Any]]] = {}
    for name, settings in pipeline.record.config.encoders.items():
        weights = pipeline.record.encoders[name]["weights"]
        if weights not in ("none", "random"):
            raise InputError(
                f"{name} was trained with the weights {weights[:12]}..., which are not part of the pipeline: "
                f"this run cannot be applied to new files yet"
            )
        config = encoder_config(with_name(name, settings))
        encoders[name] = (config, config.build(device=device))
    state = {name: value.to(device) for name, value in pipeline.state.items()}
    return Predictor(replace(pipeline, state=state), encoders, device)
