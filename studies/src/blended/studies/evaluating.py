"""What a trial's scores are worth: decided, measured and written down as the corpus's task asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from blended.data import Clip, Corpus, Mixture
from blended.eval.decisions.decider import intensities
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.evidence import Evidence
from blended.eval.predictions import Predictions
from blended.eval.protocol import FittedDecision, Protocol, fit_decision, normalised, people_of
from blended.eval.tasks import TASKS

Values = Float[np.ndarray, "clip column"]


@dataclass(frozen=True, slots=True, eq=False)
class PartScores:
    """What a fused model says about the clips of a partition, in their order."""

    clips: Sequence[Clip]
    emotions: Values
    """Probabilities or intensities, emotions in the order of the space."""
    states: Float[np.ndarray, "clip state"] | None = None
    """Probabilities of the states of the space, for models that have them."""

    def predictions(self) -> Predictions:
        """Undecided."""
        return Predictions(
            clip_ids=tuple(clip.id for clip in self.clips),
            actors=tuple(clip.actor for clip in self.clips),
            folds=tuple(clip.fold for clip in self.clips),
            probabilities=self.emotions,
            states=self.states,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """The numbers of a trial, and its answers."""

    cross_fold: Evaluation
    in_fold: Evaluation | None
    """Two thresholds tuned on the reported fold: optimistic, to compare with published numbers. None for
    tasks without blends, where there is nothing to tune."""
    decision: FittedDecision | None
    """Fitted on all out-of-fold predictions: what decided the test clips and will decide new ones. None for
    intensities, which are taken as they are."""
    train: Predictions
    test: Predictions | None


def evaluate_scores(
    corpus: Corpus,
    protocol: Protocol,
    official: Protocol,
    train: PartScores,
    test: PartScores | None,
    fitted_on: Mapping[int, Evidence] | None = None,
) -> Evaluated:
    """Decides and measures; `official` is the optimistic protocol that published numbers have.

    `fitted_on` is what the decision of a fold is fitted on; None for `train`. What decides new clips is
    fitted on `train`: no clip that it was fitted on is judged by it.
    """
    task = TASKS[corpus.space.task]
    truth = task.truth(train.clips, corpus.space)
    evidence = train.predictions().evidence(corpus.space)
    if not task.decides:
        result = evaluate(evidence, truth, protocol)
        return Evaluated(
            result, None, None, _with_intensities(train, corpus), test and _with_intensities(test, corpus)
        )
    result = evaluate(evidence, truth, protocol, fitted_on=fitted_on)
    known = people_of(evidence, protocol)
    decision = fit_decision(normalised(evidence, protocol, known), truth, protocol, known)
    return Evaluated(
        cross_fold=result,
        in_fold=evaluate(evidence, truth, official) if corpus.space.task == "mixture" else None,
        decision=decision,
        train=_with_mixtures(train, result.mixtures),
        test=test and _with_mixtures(test, decide(decision, test, corpus, protocol)),
    )


def decide(decision: FittedDecision, scores: PartScores, corpus: Corpus, protocol: Protocol) -> list[Mixture]:
    """Of clips that the decision was not fitted on."""
    evidence = scores.predictions().evidence(corpus.space)
    return decision.decide(normalised(evidence, protocol, decision.known))


def _with_mixtures(scores: PartScores, decided: list[Mixture]) -> Predictions:
    truth = tuple(clip.mixture for clip in scores.clips)
    return replace(scores.predictions(), decided=tuple(decided), truth=truth)


def _with_intensities(scores: PartScores, corpus: Corpus) -> Predictions:
    """A withheld label is NaN."""
    plain = scores.predictions()
    decided = np.array([soft.values for soft in intensities(plain.evidence(corpus.space))])
    missing = (np.nan,) * len(corpus.space.emotions)
    truth = [clip.soft.values if clip.soft else missing for clip in scores.clips]
    return replace(plain, probabilities=decided, true_intensities=np.array(truth))
