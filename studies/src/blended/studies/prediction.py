"""From new files to decisions: decode, encode, fuse, calibrate, decide."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blended.data import InputError, Mixture, Scores
from blended.data.media import MediaError
from blended.data.people import ENOUGH_FOR_SCORES
from blended.encoders.device import one_thread
from blended.encoders.encoder import RANDOM, EncoderConfig
from blended.encoders.one_file import Chosen, Decoded, choose, cut, decode, decode_chosen
from blended.encoders.sliding import Sliding, slide
from blended.encoders.table import encoder_config
from blended.encoders.weights import UNTRAINED, checksum, default_folder, resolve
from blended.eval.calibration import heated
from blended.eval.evidence import Evidence, gather
from blended.eval.normalisation import Populations
from blended.eval.protocol import normalised
from blended.fusion.strategies import FUSIONS, apply_final
from blended.fusion.strategy import Applied, Features, NewClips, Reader, num_clips
from blended.studies.answers import Answer, Prediction, Row
from blended.studies.corpus_params import with_name
from blended.studies.enrolment import Enrolment, check_enrolment, enrolment_notes
from blended.studies.pipeline import Pipeline, PipelineRecord, read_pipeline, version_notes
from blended.studies.trial import modality_of
from blended.studies.windows import Windows, spans

OUT_OF_DISTRIBUTION = 3.0
"""Root mean square of standardised features from which a clip is called unlike those trained on: 1 is
usual, and clips of the demo corpus stay below."""

SLACK_SECONDS = 0.1
"""Tracks of one recording end within a few frames of each other."""

Progress = Callable[[int, int], None]
Span = tuple[float, float]
"""Start and end in seconds on the file's clock."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A stretch of a file after fusion and decision."""

    probabilities: Row
    calibrated: Row
    decided: Mixture | None
    weights: Mapping[str, float]
    out_of_distribution: Mapping[str, float]


_Read = tuple[Decoded, list[tuple[Span, Scored]], Scored | None]
"""A file, its windows as far as they are wanted, and all of it; None where its windows answer for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A pipeline with its encoders built, ready for many files."""

    pipeline: Pipeline
    reader: Reader

    def features(self, path: Path) -> Features:
        """What the strategy reads of a whole file, as of a clip of a corpus."""
        with one_thread():
            return self.reader.read(decode(path, self.reader.wanted))

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
        windows = windows or Windows()
        with one_thread():
            chosen = choose(path, self.reader.wanted)
            read = self._slid(chosen, windows, enrolment, progress) or self._at_once(
                chosen, windows, enrolment, progress, always
            )
        decoded, parts, whole = read
        count, span = len(parts), (decoded.start_seconds, decoded.end_seconds)
        long = whole is None
        answer = self._mean([part for _, part in parts]) if whole is None else whole
        return Prediction(
            path=path,
            whole=self._answer(span, answer),
            method=f"mean of {count} windows" if long else "whole file",
            timeline=tuple(self._answer(piece, part) for piece, part in parts),
            weights=dict(answer.weights),
            notes=tuple(self._notes(decoded, answer, enrolment)),
        )

    def _is_long(self, seconds: float, windows: Windows) -> bool:
        """Whether a file is answered by its windows."""
        return seconds > self.pipeline.record.longest_seconds and len(spans(0.0, seconds, windows)) > 1

    def _slid(
        self, chosen: Chosen, windows: Windows, enrolment: Enrolment | None, progress: Progress | None
    ) -> _Read | None:
        """A long file, no more than a window of it in memory; None for others, and for what is damaged."""
        # By packets, a file may seem longer than it is.
        if not self._is_long(chosen.seconds - SLACK_SECONDS, windows):
            return None
        try:
            sliding = slide(chosen)
            return None if sliding is None else self._scored(sliding, windows, enrolment, progress)
        except MediaError:
            return None  # Decoding all of it finds the words, or a way round.

    def _scored(
        self, sliding: Sliding, windows: Windows, enrolment: Enrolment | None, progress: Progress | None
    ) -> _Read | None:
        expected = len(spans(0.0, sliding.chosen.seconds, windows))
        pieces = sliding.windows(
            windows.window_seconds, windows.hop_seconds, lambda start, end: spans(start, end, windows)
        )
        parts: list[tuple[Span, Scored]] = []
        while True:
            if progress is not None:
                progress(len(parts), max(expected, len(parts) + 1))
            try:
                piece = next(pieces)
            except StopIteration as ended:
                decoded: Decoded = ended.value
                break
            scored = self._score(sliding.chosen.path, self.reader.read(piece), enrolment)
            parts.append(((piece.start_seconds, piece.end_seconds), scored))
        return (decoded, parts, None) if self._is_long(decoded.duration_seconds, windows) else None

    def _at_once(
        self,
        chosen: Chosen,
        windows: Windows,
        enrolment: Enrolment | None,
        progress: Progress | None,
        always: bool,
    ) -> _Read:
        """A file that fits into memory."""
        decoded = decode_chosen(chosen)
        pieces = spans(decoded.start_seconds, decoded.end_seconds, windows)
        long = decoded.duration_seconds > self.pipeline.record.longest_seconds and len(pieces) > 1
        parts: list[tuple[Span, Scored]] = []
        for done, piece in enumerate(pieces if long or always else []):
            if progress is not None:
                progress(done, len(pieces))
            features = self.reader.read(cut(decoded, *piece))
            parts.append((piece, self._score(chosen.path, features, enrolment)))
        whole = None if long else self._score(chosen.path, self.reader.read(decoded), enrolment)
        return decoded, parts, whole

    def _score(self, path: Path, features: Features, enrolment: Enrolment | None) -> Scored:
        """Of the last row: the rows before it are the person's other clips."""
        if enrolment is not None:
            features = enrolment.beside(path, features)
        config = self.pipeline.record.config
        people = ["person"] * num_clips(features)
        clips = NewClips(self.pipeline.space, people, modality_of(config), features)
        try:
            applied = apply_final(config.fusion, self.pipeline.state, clips)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        out_of_distribution = {
            name: float(values[-1]) for name, values in applied.out_of_distribution.items()
        }
        decided, mapped = self._decide(applied)
        return Scored(applied.probabilities[-1], mapped, decided, applied.weights, out_of_distribution)

    def _decide(self, applied: Applied) -> tuple[Mixture | None, Row]:
        """Of the last row: its mixture, if the task has any, and its probabilities mapped."""
        decision, probabilities = self.pipeline.decision, applied.probabilities
        if decision is None:
            return None, probabilities[-1]
        evidence = self._evidence(applied, decision.known)
        # The run's own map, or else one temperature, so that probabilities mean what they say.
        if self.pipeline.record.config.decision.calibrate == "raw":
            mapped = heated(evidence.mean_probabilities(), self.pipeline.record.temperature)
        else:
            mapped = decision.calibration(evidence).mean_probabilities()
        return decision.decide(evidence)[-1], mapped[-1]

    def _evidence(self, applied: Applied, known: Populations | None) -> Evidence:
        """All rows as clips of one person: as in training, or by the other clips as far as they can be
        believed where those are few."""
        space, ids = self.pipeline.space, tuple(str(row) for row in range(len(applied.probabilities)))
        scores = Scores(ids, space.emotions, applied.probabilities, "probabilities")
        evidence = gather([scores], ["person"] * len(ids), [0] * len(ids), space, applied.states)
        protocol = self.pipeline.record.config.protocol
        if known is not None and len(ids) - 1 < ENOUGH_FOR_SCORES:
            protocol = replace(protocol, enrol_clips=max(len(ids) - 1, 1), enrol_minimum=1)
        return normalised(evidence, protocol, known)

    def _mean(self, parts: Sequence[Scored]) -> Scored:
        """Of windows: mean probabilities, and the decision of most of them (the first of equals)."""
        counts = Counter(part.decided for part in parts)
        return Scored(
            probabilities=np.mean([part.probabilities for part in parts], axis=0),
            calibrated=np.mean([part.calibrated for part in parts], axis=0),
            decided=counts.most_common(1)[0][0],
            weights=parts[0].weights,
            out_of_distribution={
                name: float(np.median([part.out_of_distribution[name] for part in parts]))
                for name in parts[0].out_of_distribution
            },
        )

    def _answer(self, span: Span, scored: Scored) -> Answer:
        return Answer(*span, scored.decided, scored.probabilities, scored.calibrated)

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
        notes += [
            f"{name}: {count} {what.replace('_', ' ')}"
            for name, counts in decoded.notes.items()
            for what, count in counts.items()
            if count
        ]
        notes += enrolment_notes(record, enrolment)
        notes += [
            f"unlike the clips trained on for {name} ({distance:.1f} times their usual distance): a face or "
            f"voice may be absent, or the recording of another kind; do not rely on the answer"
            for name, distance in scored.out_of_distribution.items()
            if distance > OUT_OF_DISTRIBUTION
        ]
        return notes


def open_predictor(
    folder: Path,
    *,
    device: str = "cpu",
    weights: Mapping[str, Path] | None = None,
    weights_folder: Path | None = None,
) -> Predictor:
    """Reads a stored pipeline and builds its encoders.

    Trained weights are those given by encoder name, else looked for in the folder of weights. Raises
    InputError for a run that cannot be applied here: for weights that are not there or not those trained
    with, and for features that somebody else extracted.
    """
    pipeline = read_pipeline(folder)
    record = pipeline.record
    if record.config.imported:
        names = ", ".join(record.config.imported)
        raise InputError(
            f"the run {record.recipe!r} was trained on imported features ({names}), which cannot be "
            f"made from a new file: use a run of encoders"
        )
    configs = {n: encoder_config(with_name(n, given)) for n, given in record.config.encoders.items()}
    files = chosen_weights(record, configs, weights or {}, weights_folder or default_folder(os.environ))
    encoders = {n: (c, c.build(device=device, weights=files.get(n))) for n, c in configs.items()}
    fusion = record.config.fusion
    reader = FUSIONS[fusion.name].reads.reader(fusion, encoders, device)
    state = {name: value.to(device) for name, value in pipeline.state.items()}
    return Predictor(replace(pipeline, state=state), reader)


def chosen_weights(
    record: PipelineRecord, configs: Mapping[str, EncoderConfig], given: Mapping[str, Path], folder: Path
) -> dict[str, Path]:
    """Encoder name -> its weights; the very file that was trained with, by checksum."""
    made = {name: fields["weights"] for name, fields in record.encoders.items()}
    untrained = {
        name: RANDOM for name, config in configs.items() if config.weighted and made[name] == UNTRAINED
    }
    files = resolve(configs.values(), folder, given={**untrained, **given})
    for name, path in files.items():
        if (here := checksum(path)) != made[name]:
            raise InputError(
                f"the run {record.recipe!r} was trained with weights {made[name][:12]} of {name}, but {path} "
                f"is {here[:12]}: name the same file with --weights {name}=FILE"
            )
    return files
