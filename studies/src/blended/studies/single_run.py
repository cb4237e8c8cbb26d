"""One trained run as a record of the report's, and its figures for whoever tracks it."""

from dataclasses import replace

import numpy as np

from blended.data import Mixture
from blended.data.corpora import groups
from blended.eval.figures import footnote
from blended.eval.figures.saving import png
from blended.eval.figures.style import WIDE_INCHES
from blended.eval.predictions import Predictions
from blended.eval.report.top_run import figures_of, take_apart
from blended.eval.run_record import RunRecord
from blended.eval.tasks import TASKS, Truth
from blended.studies.extras import curve
from blended.studies.trial import TrialResult, fitted_on


def with_curve(result: TrialResult) -> TrialResult:
    """The result with its score against clips of a person, where scores are calibrated per actor."""
    if not TASKS[result.corpus.space.task].decides:
        return result
    evidence = result.train.evidence(result.corpus.space)
    points = curve(
        evidence, labelled(result.train), result.config.protocol, fitted_on(result.corpus, result.fused)
    )
    return replace(result, extras=replace(result.extras, enrolment=points))


def run_pictures(result: TrialResult, recipe: str) -> dict[str, bytes]:
    """PNGs by name; those of rendered clips say so."""
    space = result.corpus.space
    taken = take_apart(
        _record(result, recipe),
        space,
        result.train.probabilities,
        groups=groups(result.corpus.name, result.train.clip_ids),
        enrolment=result.extras.enrolment,
        importance=result.extras.importance,
        predictors=result.extras.predictors,
        weights=result.extras.weights,
    )
    figures = {name: draw(WIDE_INCHES) for name, draw in figures_of(taken).items()}
    noted = {n: footnote(f, "rendered clips") if result.corpus.synthetic else f for n, f in figures.items()}
    return {name: png(figure) for name, figure in noted.items()}


def labelled(predictions: Predictions) -> list[Mixture]:
    """True mixtures; every training clip has one."""
    return [mixture for mixture in predictions.truth if mixture is not None]


def truth_of(predictions: Predictions) -> Truth:
    """Mixtures, or true intensities."""
    return labelled(predictions) if predictions.true_intensities is None else predictions.true_intensities


def _record(result: TrialResult, recipe: str) -> RunRecord:
    return RunRecord(
        name=recipe,
        strategy=result.config.strategy,
        features=result.config.fusion.features,
        modalities=result.modalities,
        truth=truth_of(result.train),
        clip_ids=result.train.clip_ids,
        actors=np.array(result.train.actors),
        folds=np.array(result.train.folds, dtype=np.int64),
        cross_fold=result.cross_fold,
        task=result.corpus.space.task,
    )
