"""Scores on inner folds: what choices for a reported fold may be made on.

For each reported fold the models that were trained without it and without the fold after it, its inner fold,
predict the inner fold. Decisions are fitted on other actors of the inner fold, so that no label of the
reported fold enters.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
from jaxtyping import Float, Int

from blended.data import Clip, Corpus, Mixture
from blended.eval.measures.agreement import mean_pearson
from blended.eval.measures.blends import challenge_score, presence_accuracy, salience_accuracy
from blended.eval.measures.recall import recalls
from blended.eval.normalisation import Populations
from blended.eval.protocol import Protocol, fit_decision, normalised, people_of
from blended.eval.tasks import mixtures, true_intensities
from blended.fusion.plan import inner_fold
from blended.fusion.run import Epoch
from blended.studies.evaluating import undecided

MAX_PARTS = 5
"""Groups of actors that an inner fold is cut into."""

PLAIN = {"mixture": Protocol("templates"), "single": Protocol("argmax")}
"""Task -> a decision that has nothing to fit."""

Watch = Callable[[int, float, Mapping[int, float]], None]
"""Called with the number of the epoch, from 1, the mean score of the models that are still trained, and
reported fold -> the mean of those of its inner fold; may raise to stop the trial."""


@dataclass(frozen=True, slots=True)
class InnerScore:
    """What predictions for an inner fold are worth."""

    presence: float | None
    """Presence accuracy; None for tasks without blends, as is `salience`."""
    salience: float | None
    score: float
    """The mean of the two; unweighted average recall of single labels, mean Pearson of intensities."""
    per_actor: Mapping[str, float] = field(default_factory=dict)
    """Actor -> the mean of the two on that actor's clips, accuracy for single labels; empty for intensities.
    Of single actors, so noisy, and their mean is not `score`: for paired tests."""


def inner_scores(
    corpus: Corpus, predicted: Float[np.ndarray, "train emotion"], protocol: Protocol
) -> dict[int, InnerScore]:
    """Reported fold -> the score on its inner fold."""
    train = corpus.train
    folds = sorted({clip.fold for clip in train if clip.fold is not None})
    scores: dict[int, InnerScore] = {}
    known = None
    if corpus.space.task != "intensities":
        known = people_of(undecided(train, predicted).evidence(corpus.space), protocol)
    for fold in folds:
        rows = np.array([row for row, clip in enumerate(train) if clip.fold == inner_fold(fold, folds)])
        scores[fold] = _score(corpus, [train[row] for row in rows], predicted[rows], protocol, known)
    return scores


def watcher(corpus: Corpus, watch: Watch) -> Callable[[Epoch], None]:
    """Turns what training tells after an epoch into the mean score over inner folds.

    Decided by what has nothing to fit (`PLAIN`), so that an epoch costs little and trials compare.
    """
    protocol = PLAIN.get(corpus.space.task, Protocol("thresholds"))
    train = corpus.train
    folds = sorted({clip.fold for clip in train if clip.fold is not None})
    reported = {inner_fold(fold, folds): fold for fold in folds}

    def on_epoch(epoch: Epoch) -> None:
        scores: dict[int, list[float]] = {}
        for rows, values in epoch.watched:
            clips = [train[row] for row in rows]
            score = _score(corpus, clips, values, protocol).score
            scores.setdefault(reported[clips[0].fold or 0], []).append(score)
        of_all = float(np.mean([one for found in scores.values() for one in found]))
        watch(epoch.number, of_all, {fold: float(np.mean(found)) for fold, found in sorted(scores.items())})

    return on_epoch


def _score(
    corpus: Corpus,
    clips: Sequence[Clip],
    predicted: Float[np.ndarray, "clip emotion"],
    protocol: Protocol,
    known: Populations | None = None,
) -> InnerScore:
    """Of clips of one inner fold; decisions for every group of actors are fitted on the others.

    `known` is what an actor with few clips is held against: that of all folds, for one fold may have nobody
    else. No label enters it.
    """
    if corpus.space.task == "intensities":
        return InnerScore(None, None, mean_pearson(predicted, true_intensities(clips, corpus.space)))
    truth = mixtures(clips, corpus.space)
    scores = normalised(undecided(clips, predicted).evidence(corpus.space), protocol, known)
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
    if corpus.space.task == "single":
        alone = _per_actor(clips, truth, decided, presence_accuracy)
        return InnerScore(None, None, recalls(truth, decided).unweighted, alone)
    presence, salience = presence_accuracy(truth, decided), salience_accuracy(truth, decided)
    alone = _per_actor(clips, truth, decided, challenge_score)
    return InnerScore(presence, salience, (presence + salience) / 2, alone)


def _per_actor(
    clips: Sequence[Clip],
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    measure: Callable[[Sequence[Mixture], Sequence[Mixture]], float],
) -> dict[str, float]:
    rows: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        rows.setdefault(clip.actor, []).append(row)
    return {
        actor: measure([truth[row] for row in own], [decided[row] for row in own])
        for actor, own in sorted(rows.items())
    }


def _parts(clips: Sequence[Clip]) -> Int[np.ndarray, "clip"]:
    """Group per clip; clips of one actor are in one group."""
    actors = sorted({clip.actor for clip in clips})
    return np.array([actors.index(clip.actor) % MAX_PARTS for clip in clips])
