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
from blended.data.labels import Task
from blended.eval.measures import Labels, Measure
from blended.eval.measures.blends import SCORE
from blended.eval.measures.recall import WEIGHTED_RECALL
from blended.eval.normalisation import Populations
from blended.eval.protocol import Protocol, fit_decision, normalised, people_of
from blended.eval.tasks import TASKS
from blended.fusion.plan import inner_fold
from blended.fusion.run import Epoch
from blended.studies.evaluating import undecided
from blended.studies.fold_numbers import HEADLINE, numbers_of

MAX_PARTS = 5
"""Groups of actors that an inner fold is cut into."""

PLAIN: dict[Task, Protocol] = {"mixture": Protocol("templates"), "single": Protocol("argmax")}
"""Task -> a decision that has nothing to fit."""
OF_ACTORS: dict[Task, Measure] = {"mixture": SCORE, "single": WEIGHTED_RECALL}
"""Task -> what clips of one actor, who need not show every emotion, are judged by."""

Watch = Callable[[int, float, Mapping[int, float]], None]
"""Called with the number of the epoch, from 1, the mean score of the models that are still trained, and
reported fold -> the mean of those of its inner fold; may raise to stop the trial."""


@dataclass(frozen=True, slots=True)
class InnerScore:
    """What predictions for an inner fold are worth."""

    numbers: Mapping[str, float]
    """Every measure of the task, by the names of `numbers_of`."""
    per_actor: Mapping[str, float] = field(default_factory=dict)
    """Actor -> the challenge score on that actor's clips, accuracy for single labels; empty for intensities.
    Of single actors, so noisy, and their mean is not `score`: for paired tests."""

    @property
    def score(self) -> float:
        """The headline of the task, such as the challenge score."""
        return self.numbers[HEADLINE]


def inner_scores(
    corpus: Corpus, predicted: Float[np.ndarray, "train emotion"], protocol: Protocol
) -> dict[int, InnerScore]:
    """Reported fold -> the score on its inner fold."""
    train = corpus.train
    folds = sorted({clip.fold for clip in train if clip.fold is not None})
    scores: dict[int, InnerScore] = {}
    known = None
    if TASKS[corpus.space.task].decides:
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
    task = TASKS[corpus.space.task]
    truth = task.truth(clips, corpus.space)
    if not task.decides:
        return InnerScore(_measured(task.task, truth, predicted))
    scores = normalised(undecided(clips, predicted).evidence(corpus.space), protocol, known)
    parts = _parts(clips)
    if protocol in PLAIN.values() or not parts.any():
        # A fold of one actor has nobody else to fit on, so what decides there must fit nothing.
        protocol, parts = PLAIN[task.task], np.zeros_like(parts)
    decided = [truth[0]] * len(truth)
    for part in np.unique(parts):
        held = parts == part
        fit = ~held if not held.all() else held
        decision = fit_decision(scores.take(fit), list(compress(truth, fit)), protocol)
        for row, mixture in zip(np.flatnonzero(held), decision.decide(scores.take(held)), strict=True):
            decided[row] = mixture
    alone = _per_actor(clips, truth, decided, OF_ACTORS[task.task].function)
    return InnerScore(_measured(task.task, truth, decided), alone)


def _measured(task: Task, truth: Labels, answers: Labels) -> dict[str, float]:
    return numbers_of(task, [one.function(truth, answers) for one in TASKS[task].measures])


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
