"""Scores on inner folds: what choices for a reported fold may be made on.

For each reported fold the models that were trained without it and without the fold after it, its inner fold,
predict the inner fold. Decisions are fitted on other actors of the inner fold, so that no label of the
reported fold enters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from jaxtyping import Float, Int

from blended.data import Clip, Corpus
from blended.eval.agreement import mean_pearson
from blended.eval.metrics import presence_accuracy, salience_accuracy
from blended.eval.protocol import Protocol, calibrated, fit_decision
from blended.eval.recall import recalls
from blended.eval.tasks import mixtures, true_intensities
from blended.fusion.nested import inner_fold
from blended.fusion.run import Epoch
from blended.studies.evaluating import PartScores

MAX_PARTS = 5
"""Groups of actors that an inner fold is cut into."""

PLAIN = {"mixture": Protocol("templates"), "single": Protocol("argmax")}
"""Task -> a decision that has nothing to fit."""

Watch = Callable[[int, float], None]
"""Called with the number of the epoch, from 1, and the score on inner folds; may raise to stop the trial."""


@dataclass(frozen=True, slots=True)
class InnerScore:
    """What predictions for an inner fold are worth."""

    presence: float
    """Presence accuracy; of single labels, plain accuracy; 0 for intensities."""
    salience: float
    """Salience accuracy; 0 for tasks without blends."""
    score: float
    """The mean of the two; unweighted average recall of single labels, mean Pearson of intensities."""


def inner_scores(
    corpus: Corpus, predicted: Float[np.ndarray, "train emotion"], protocol: Protocol
) -> dict[int, InnerScore]:
    """Reported fold -> the score on its inner fold."""
    train = corpus.train
    folds = sorted({clip.fold for clip in train if clip.fold is not None})
    scores: dict[int, InnerScore] = {}
    for fold in folds:
        rows = np.array([row for row, clip in enumerate(train) if clip.fold == inner_fold(fold, folds)])
        scores[fold] = _score(corpus, [train[row] for row in rows], predicted[rows], protocol)
    return scores


def watcher(corpus: Corpus, watch: Watch) -> Callable[[Epoch], None]:
    """Turns what training tells after an epoch into the mean score over inner folds.

    Decided by what has nothing to fit (`PLAIN`), so that an epoch costs little and trials compare.
    """
    protocol = PLAIN.get(corpus.space.task, Protocol())
    train = corpus.train

    def on_epoch(epoch: Epoch) -> None:
        scores = [
            _score(corpus, [train[row] for row in rows], values, protocol) for rows, values in epoch.watched
        ]
        watch(epoch.number, float(np.mean([one.score for one in scores])))

    return on_epoch


def _score(
    corpus: Corpus,
    clips: Sequence[Clip],
    predicted: Float[np.ndarray, "clip emotion"],
    protocol: Protocol,
) -> InnerScore:
    """Of clips of one inner fold; decisions for every group of actors are fitted on the others."""
    if corpus.space.task == "intensities":
        return InnerScore(0.0, 0.0, mean_pearson(predicted, true_intensities(clips, corpus.space)))
    truth = mixtures(clips, corpus.space)
    scores = calibrated(PartScores(clips, predicted).predictions().evidence(corpus.space), protocol)
    parts = _parts(clips)
    if protocol in PLAIN.values() or not parts.any():
        # A fold of one actor has nobody else to fit on, so what decides there must fit nothing.
        protocol, parts = PLAIN[corpus.space.task], np.zeros_like(parts)
    decided = [truth[0]] * len(truth)
    for part in np.unique(parts):
        held = parts == part
        fit = ~held if not held.all() else held
        decision = fit_decision(scores.take(fit), list(compress(truth, fit)), protocol)
        for row, mixture in zip(np.flatnonzero(held), decision.decide(scores.take(held)), strict=True):
            decided[row] = mixture
    presence = presence_accuracy(truth, decided)
    if corpus.space.task == "single":
        return InnerScore(presence, 0.0, recalls(truth, decided).unweighted)
    salience = salience_accuracy(truth, decided)
    return InnerScore(presence, salience, (presence + salience) / 2)


def _parts(clips: Sequence[Clip]) -> Int[np.ndarray, "clip"]:
    """Group per clip; clips of one actor are in one group."""
    actors = sorted({clip.actor for clip in clips})
    return np.array([actors.index(clip.actor) % MAX_PARTS for clip in clips])
