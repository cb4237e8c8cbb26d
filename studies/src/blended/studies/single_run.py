"""One stored run as a record of the report's, and its figures."""

import numpy as np

from blended.data import Corpus, Mixture
from blended.data.corpora import groups
from blended.eval.evaluation import Evaluation, evaluate, measure
from blended.eval.figures import footnote, run_figure
from blended.eval.figures.saving import png
from blended.eval.figures.style import WIDE_INCHES
from blended.eval.measures import Labels
from blended.eval.predictions import Predictions
from blended.eval.protocol import Protocol
from blended.eval.report.top_run import figures_of, take_apart
from blended.eval.run_record import RunRecord
from blended.eval.tasks import TASKS
from blended.studies.run_files import CONFUSION
from blended.studies.runs import StoredRun


def drawn(run: StoredRun, corpus: Corpus) -> dict[str, bytes]:
    """PNGs by name, the confusion matrix (for intensities: the agreement) among them; those of rendered clips
    say so."""
    record = record_of(run, corpus)
    taken = take_apart(
        record,
        corpus.space,
        run.train.probabilities,
        groups=groups(corpus.name, run.train.clip_ids),
        enrolment=run.extras.enrolment,
        importance=run.extras.importance,
        predictors=run.extras.predictors,
        weights=run.extras.weights,
    )
    figures = {name: draw(WIDE_INCHES) for name, draw in figures_of(taken).items()}
    noted = {n: footnote(f, "rendered clips") if corpus.synthetic else f for n, f in figures.items()}
    matrix = run_figure(record, corpus.space)
    return {name: png(figure) for name, figure in {**noted, CONFUSION: matrix}.items()}


def labelled(predictions: Predictions) -> list[Mixture]:
    """True mixtures; every training clip has one."""
    return [mixture for mixture in predictions.truth if mixture is not None]


def truth_of(predictions: Predictions) -> Labels:
    """Mixtures, or true intensities."""
    return labelled(predictions) if predictions.true_intensities is None else predictions.true_intensities


def record_of(run: StoredRun, corpus: Corpus, train: Predictions | None = None) -> RunRecord:
    """The run with what it decided, measured on all its training clips or on those of `train`."""
    train = train or run.train
    return RunRecord(
        name=run.recipe,
        strategy=run.config.strategy,
        features=run.config.fusion.features,
        modalities=run.modalities,
        truth=truth_of(train),
        clip_ids=train.clip_ids,
        actors=np.array(train.actors),
        folds=np.array(train.folds, dtype=np.int64),
        cross_fold=as_decided(train, corpus, run.config.protocol),
        run_id=run.run_id,
        task=corpus.space.task,
    )


def as_decided(predictions: Predictions, corpus: Corpus, protocol: Protocol) -> Evaluation:
    """What was decided when the run was trained, measured on the given clips."""
    evidence = predictions.evidence(corpus.space)
    if not TASKS[corpus.space.task].decides:
        return evaluate(evidence, truth_of(predictions), protocol)
    return measure(evidence, labelled(predictions), [*predictions.decided], protocol)
