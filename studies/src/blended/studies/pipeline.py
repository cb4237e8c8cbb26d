"""A trained pipeline as three small files: everything that turns a new clip into a decision.

    pipeline.json       encoders with their versions, fusion, labels, temperature, scores, where it is from
    decision.json       the decision, fitted on the run's out-of-fold predictions
    final.safetensors   the final model

They lie in a run's artifacts and, copied, in its MLflow model; in both with a manifest of their checksums.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.data.atomic import write_text
from blended.data.checksums import check_manifest
from blended.data.index import Index
from blended.data.store import Identity
from blended.encoders.identity import code_version
from blended.encoders.table import encoder_config
from blended.eval.calibration import fit_temperature
from blended.eval.estimate import Estimate
from blended.eval.frozen import freeze, thaw
from blended.eval.protocol import FittedDecision, normalised
from blended.studies.corpus_params import with_name
from blended.studies.identity import Commit
from blended.studies.run_files import DECISION, MODEL, PIPELINE, RECORD, is_checked
from blended.studies.trial import TrialConfig, TrialResult

FILES = (PIPELINE, DECISION, MODEL)
FORMAT = 3
"""Of pipeline.json; 1 stored a decision without its map of probabilities, 2 named parameters of the fusion
module `body`."""
DISTRIBUTIONS = ("blended-data", "blended-encoders", "blended-fusion", "blended-eval", "blended-studies")
LIBRARIES = ("torch", "torchaudio", "opencv-python-headless", "av", "numpy", "scikit-learn")


class PipelineRecord(BaseModel):
    """pipeline.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[3] = FORMAT
    recipe: str
    config: TrialConfig
    encoders: dict[str, dict[str, str]]
    """Encoder name -> the identity of the features trained on: full config, weights, version."""
    label_space: dict[str, JsonValue]
    synthetic: bool
    """Trained on rendered clips."""
    temperature: float
    """Fitted on the out-of-fold probabilities, after any normalisation per actor; 1 for intensities."""
    shortest_seconds: float
    """Of the clips trained on."""
    longest_seconds: float
    clips_per_actor: float
    """Median over the actors trained on."""
    protocol: str
    """How the scores came about, in words."""
    scores: dict[str, tuple[float, float | None, float | None]]
    """Measure by key, such as presence_accuracy: value, low and high end of the 95 % interval; null
    where there is none."""
    identity: str
    """Of the trial; equal identities give equal numbers."""
    corpus_hash: str
    git_commit: str
    """With ` + changes` where the tree was dirty; empty outside a checkout."""
    versions: dict[str, str]
    """Distribution -> version that it was trained with."""

    @property
    def transductive(self) -> bool:
        """Whether clips are judged against other clips of the same person."""
        return self.config.protocol.transductive


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """A stored pipeline, read."""

    folder: Path
    record: PipelineRecord
    space: LabelSpace
    state: Mapping[str, Tensor]
    """Of the final model, as the fusion strategy wrote it."""
    decision: FittedDecision | None
    """Of evidence normalised as in training; None for intensities, which are taken as they are."""
    checked: bool
    """Whether the files are known to be those that were written; those of before checksums are not."""


def pipeline_record(
    result: TrialResult, recipe: str, index: Index, commit: Commit, made: Mapping[str, Identity]
) -> PipelineRecord:
    """What pipeline.json says of a trial; `made` is the identity of every encoder's features."""
    space = result.corpus.space
    train = {clip.id for clip in result.corpus.train}
    seconds = [
        row["duration_seconds"]
        for row in index.table.select("id", "duration_seconds").iter_rows(named=True)
        if row["id"] in train and row["duration_seconds"] is not None
    ]
    _, per_actor = np.unique(np.array(result.train.actors), return_counts=True)
    return PipelineRecord(
        recipe=recipe,
        config=result.config,
        encoders={name: json.loads(made[name].to_json()) for name in result.config.encoders},
        label_space=json.loads(json.dumps(space.to_dict())),
        synthetic=result.corpus.synthetic,
        temperature=_temperature(result),
        shortest_seconds=min(seconds),
        longest_seconds=max(seconds),
        clips_per_actor=float(np.median(per_actor)),
        protocol=result.cross_fold.protocol.label,
        scores={name: _triple(estimate) for name, estimate in result.cross_fold.measured.items()},
        identity=result.identity,
        corpus_hash=result.corpus_hash,
        git_commit=f"{commit.sha} + changes" if commit.dirty else commit.sha,
        versions={name: version(name) for name in (*DISTRIBUTIONS, *LIBRARIES)},
    )


def _temperature(result: TrialResult) -> float:
    space = result.corpus.space
    targets = np.array([space.target(mixture) for mixture in result.train.truth if mixture is not None])
    if not len(targets):
        return 1.0
    scores = normalised(result.train.evidence(space), result.config.protocol)
    return fit_temperature(scores.mean_probabilities(), targets)


def _triple(estimate: Estimate) -> tuple[float, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


def write_pipeline(folder: Path, record: PipelineRecord, decision: FittedDecision | None) -> list[Path]:
    """Writes two of the three files beside the final model; returns all three."""
    write_text(folder / PIPELINE, record.model_dump_json(indent=1) + "\n")
    write_text(folder / DECISION, json.dumps(freeze(decision)) + "\n")
    return [folder / name for name in FILES]


def read_pipeline(folder: Path) -> Pipeline:
    """Reads what was stored; raises InputError for a folder without a complete pipeline, and for one whose
    files are not as they were written."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise InputError(
            f"{folder} holds no trained pipeline ({', '.join(missing)} not there): name the artifacts of a "
            f"run, or train it anew with `blended train RECIPE --again`"
        )
    checked = is_checked(folder)
    if checked:
        recipe = folder.parent.name if (folder / RECORD).is_file() else "RECIPE"
        check_manifest(folder, FILES, remedy=f"`blended train {recipe}` makes the run anew")
    try:
        fields = json.loads((folder / PIPELINE).read_bytes())
        _check_format(folder, fields)
        record = PipelineRecord.model_validate(fields)
        decision = json.loads((folder / DECISION).read_bytes())
        state = load_file(folder / MODEL)
    except InputError:
        raise
    except (ValidationError, ValueError, SafetensorError) as error:
        raise InputError(
            f"the pipeline in {folder} is damaged or of another version ({str(error).splitlines()[0]}): "
            f"train the run anew with `blended train RECIPE --again`"
        ) from error
    space = LabelSpace.from_dict(record.label_space)
    return Pipeline(folder, record, space, state, thaw(decision), checked)


def _check_format(folder: Path, fields: Mapping[str, object]) -> None:
    if fields.get("format") != FORMAT:
        raise InputError(
            f"the pipeline in {folder} has format {fields.get('format')!r}, this version of blended reads "
            f"{FORMAT}: train the run anew with `blended train RECIPE --again`"
        )


def version_notes(record: PipelineRecord) -> list[str]:
    """In words, which encoders are of another version here than in training; numbers may then differ."""
    notes: list[str] = []
    for name, fields in record.encoders.items():
        made = Identity(**fields).version
        here = code_version(encoder_config(with_name(name, record.config.encoders[name])))
        if made != here:
            notes.append(
                f"{name} was trained with blended-encoders {made}, but {here} is here: numbers may differ"
            )
    return notes
