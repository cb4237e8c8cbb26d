"""The card of a registered model: what it is, what its numbers are, and what it must not be used for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from blended.data import InputError
from blended.data.index import Index, read_index
from blended.data.people import ENOUGH_FOR_SCORES
from blended.encoders.table import encoder_config
from blended.eval.measures.agreement import mean_pearson
from blended.eval.measures.blends import correctness
from blended.eval.predictions import Predictions
from blended.studies.corpus_params import with_name
from blended.studies.enrolment import min_clips
from blended.studies.folders import Folders
from blended.studies.pipeline import PipelineRecord, read_pipeline
from blended.studies.runs import read_run

INTENDED = """\
Research on how blended emotions are expressed and recognised, and comparison of methods."""

LIMITS = """\
- Trained on {kind}: it names what an expression resembles, and says nothing about what a person truly
  feels, whether somebody lies, is fit for work, or is ill.
- Not for decisions about people: hiring, schooling, policing, insurance, care. The European Union prohibits
  inferring emotions at work and in schools, except for medical or safety reasons (Regulation 2024/1689,
  article 5).
- Faces and voices are biometric, personal data: record, keep and analyse them only with informed consent,
  for the purpose agreed to, and delete them when it is withdrawn.
- Age, skin colour, culture, language and disability are not balanced among the actors, and errors were not
  measured by group. Other cameras, rooms, lengths and languages are untested.
- For a clip without a face or a voice an answer means nothing, though one may be given, with a note."""


ANSWERS = {
    "mixture": "one of them, or two with their shares",
    "single": "one of them",
    "intensities": "an intensity between 0 and 1 for each",
}
"""Task -> what a model of it says."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a score differs between people."""

    num_actors: int
    lowest: float
    median: float
    highest: float


def gather_card(artifacts: Path, folders: Folders) -> str:
    """The card of a stored run, as Markdown; raises InputError for one that is not complete."""
    record = read_pipeline(artifacts).record
    index = read_index(folders.index(record.config.corpus))
    stored = read_run(artifacts.parent, index.corpus.space)
    if stored is None or stored.identity != record.identity:
        raise InputError(f"{artifacts} holds no finished run: `blended train {record.recipe} --again`")
    return model_card(record, index, spreads(stored.train))


def spreads(predictions: Predictions) -> Mapping[str, Spread]:
    """Out-of-fold accuracy per actor: presence over clips, salience over blends where there are any.

    Of intensities, Pearson's correlation per actor, mean over emotions.
    """
    if predictions.true_intensities is not None:
        return {"Pearson": _correlations(predictions, predictions.true_intensities)}
    truth = [mixture for mixture in predictions.truth if mixture is not None]
    compared = correctness(truth, predictions.decided)
    actors = np.array(predictions.actors)
    presence = [float(compared.presence[actors == actor].mean()) for actor in np.unique(actors)]
    blends = actors[compared.is_blend]
    salience = [
        float(compared.salience[compared.is_blend][blends == actor].mean()) for actor in np.unique(blends)
    ]
    return {
        name: Spread(len(values), min(values), float(np.median(values)), max(values))
        for name, values in (("presence", presence), ("salience", salience))
        if values
    }


def _correlations(predictions: Predictions, truth: Float[np.ndarray, "clip emotion"]) -> Spread:
    actors = np.array(predictions.actors)
    parts = [np.flatnonzero(actors == actor) for actor in np.unique(actors)]
    # One clip of a person correlates with nothing.
    values = [mean_pearson(predictions.probabilities[rows], truth[rows]) for rows in parts if len(rows) > 1]
    return Spread(len(values), min(values), float(np.median(values)), max(values))


def model_card(record: PipelineRecord, index: Index, spread: Mapping[str, Spread]) -> str:
    """Markdown in the order of Mitchell et al. 2019, "Model cards for model reporting"."""
    warning = ["**Synthetic corpus: these numbers say nothing about people.**"] if record.synthetic else []
    parts = [
        f"# {record.recipe} on {record.config.corpus}",
        *warning,
        _model(record),
        _data(record, index),
        _scores(record),
        _people(spread),
        _use(record),
        _provenance(record),
    ]
    return "\n\n".join(parts) + "\n"


def _model(record: PipelineRecord) -> str:
    config = record.config
    encoders = [encoder_config(with_name(name, given)) for name, given in config.encoders.items()]
    lines = [f"- {encoder.name}: {encoder.modality}, {encoder.licence}" for encoder in encoders]
    emotions = record.label_space["emotions"]
    labels = ", ".join(map(str, emotions)) if isinstance(emotions, list) else ""
    answer = ANSWERS[str(record.label_space["task"])]
    return (
        f"## Model\nRecordings go through {len(lines)} encoder{'s'[: len(lines) != 1]}, {config.fusion.name} "
        f"fusion and, as the decision: {record.protocol}. Labels: {labels}; an answer is {answer}.\n\n"
        + "\n".join(lines)
    )


def _data(record: PipelineRecord, index: Index) -> str:
    train, test = index.corpus.train, index.corpus.test
    blends = sum(clip.mixture is not None and clip.mixture.is_blend for clip in train)
    return (
        f"## Data\n{index.corpus.name}: {len(train)} labelled clips ({blends} blends) of "
        f"{len({clip.actor for clip in train})} actors in {len(index.corpus.folds)} actor-disjoint folds, "
        f"{record.shortest_seconds:.1f} to {record.longest_seconds:.1f} s long; {len(test)} test clips that "
        f"were not trained on. Corpus hash `{record.corpus_hash[:16]}`."
    )


def _scores(record: PipelineRecord) -> str:
    rows = [
        f"| {name.replace('_', ' ')} | {value:.3f} | {_ends(low, high)} |"
        for name, (value, low, high) in record.scores.items()
    ]
    warning = f"\n\n{_transductive(record)}" if record.transductive else ""
    return (
        f"## Scores\nProtocol: {record.protocol}. Every clip is judged by a model that saw no clip of its "
        "actor's fold; numbers of epochs and the decision were fitted on other folds. The stored model is "
        "fitted on all folds and was not measured itself.\n\n| | mean over folds | 95 %, over actors |\n"
        "|---|---|---|\n" + "\n".join(rows) + warning
    )


def _ends(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _transductive(record: PipelineRecord) -> str:
    least = min_clips(record)
    needed = f"at least {least} varied clips are needed" if least else "some varied clips should be named"
    return (
        f"Transductive: each person's clips were compared with all their other clips, without labels. Of a "
        f"new person {needed}, better {ENOUGH_FOR_SCORES}: with few or none, numbers are lower than these."
    )


def _people(spread: Mapping[str, Spread]) -> str:
    rows = [
        f"| {name} | {s.num_actors} | {s.lowest:.2f} | {s.median:.2f} | {s.highest:.2f} |"
        for name, s in spread.items()
    ]
    return (
        "## Differences between people\nAccuracy per actor, out of fold: between these lies what a new "
        "person must expect.\n\n| | actors | lowest | median | highest |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )


def _use(record: PipelineRecord) -> str:
    return (
        "## Intended use\n"
        + INTENDED
        + "\n\n## Limits\n"
        + LIMITS.format(
            kind="rendered faces and voices" if record.synthetic else "expressions acted in a studio"
        )
    )


def _provenance(record: PipelineRecord) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return (
        f"## Provenance\nRun identity `{record.identity[:16]}`, commit `{record.git_commit or 'unknown'}`. "
        f"Made with {versions}."
    )
