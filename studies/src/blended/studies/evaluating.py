"""A trial's scores before and after something decides: undecided, what new clips are decided by, answered."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from blended.data import Clip, Corpus, LabelSpace
from blended.eval.decisions.decider import intensities
from blended.eval.evidence import Evidence
from blended.eval.measures import Labels
from blended.eval.predictions import Predictions
from blended.eval.protocol import FittedDecision, Protocol, fit_decision, normalised, people_of
from blended.eval.tasks import TASKS
from blended.fusion.strategy import Fused


def undecided(
    clips: Sequence[Clip],
    emotions: Float[np.ndarray, "clip emotion"],
    states: Float[np.ndarray, "clip state"] | None = None,
) -> Predictions:
    """What a fused model says about clips, in their order: probabilities or intensities, and for models that
    have them probabilities of the states of the space."""
    return Predictions(
        clip_ids=tuple(clip.id for clip in clips),
        actors=tuple(clip.actor for clip in clips),
        folds=tuple(clip.fold for clip in clips),
        probabilities=emotions,
        states=states,
    )


def fitted_on(corpus: Corpus, fused: Fused) -> dict[int, Evidence] | None:
    """Fold -> scores that its decision is fitted on; None under plain nesting, where they are the reported
    ones."""
    if fused.fitting is None:
        return None
    found: dict[int, Evidence] = {}
    for number, fold in enumerate(sorted({clip.fold for clip in corpus.train if clip.fold is not None})):
        states = None if fused.fitting_states is None else fused.fitting_states[number]
        found[fold] = undecided(corpus.train, fused.fitting[number], states).evidence(corpus.space)
    return found


def final_decision(evidence: Evidence, truth: Any, protocol: Protocol) -> FittedDecision | None:
    """What decides new clips, fitted on all clips of the evidence, of which it judges none.

    None for intensities, which are taken as they are.
    """
    if not TASKS[evidence.space.task].decides:
        return None
    known = people_of(evidence, protocol)
    return fit_decision(normalised(evidence, protocol, known), truth, protocol, known)


def decide(
    decision: FittedDecision | None, scores: Predictions, space: LabelSpace, protocol: Protocol
) -> Labels:
    """Answers for clips that the decision was not fitted on; without one, intensities in [0, 1]."""
    evidence = scores.evidence(space)
    if decision is None:
        return np.array([soft.values for soft in intensities(evidence)])
    return decision.decide(normalised(evidence, protocol, decision.known))


def answered(scores: Predictions, decided: Labels, clips: Sequence[Clip], space: LabelSpace) -> Predictions:
    """With the answers and the labels of the same clips; a withheld label is None, of intensities NaN."""
    if not isinstance(decided, np.ndarray):
        return replace(scores, decided=tuple(decided), truth=tuple(clip.mixture for clip in clips))
    missing = (np.nan,) * len(space.emotions)
    truth = [clip.soft.values if clip.soft else missing for clip in clips]
    return replace(scores, probabilities=decided, true_intensities=np.array(truth))
