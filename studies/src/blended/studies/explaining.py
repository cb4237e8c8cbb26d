"""What a run's models rely on: the score without a modality, and what is lost where a predictor is permuted.

Permutation importance (Breiman 2001, "Random forests"; Fisher et al. 2019, arXiv 1801.01489): features of an
encoder, or one named predictor in all its statistics, come from other clips of the same fold. The models of
the folds stay as they are; decisions are fitted on the other folds' unchanged predictions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from blended.data import Mixture
from blended.data.labels import set_name
from blended.encoders.threads import one_thread
from blended.eval.evidence import Evidence
from blended.eval.figures.importance import Importance
from blended.eval.intervals import Estimate, actor_bootstrap, draw_actors
from blended.eval.metrics import Correctness, correctness
from blended.eval.protocol import Evaluation, FittedDecision, calibrated
from blended.fusion.sources import Change
from blended.fusion.strategies import Fused
from blended.studies.evaluating import PartScores
from blended.studies.trial import TrialResult, modality_of

NUM_PERMUTATIONS = 3
NUM_RESAMPLES = 1000
ALL = "all clips"


@dataclass(frozen=True, slots=True, eq=False)
class _Decided:
    """How the clips of a run are decided, with decisions of the other folds."""

    result: TrialResult
    truth: Sequence[Mixture]
    decisions: Mapping[int, FittedDecision]

    def __call__(self, probabilities: Float[np.ndarray, "clip emotion"]) -> list[Mixture]:
        """Mixtures of all training clips."""
        evidence = _evidence(self.result, probabilities)
        decided = list(self.truth)
        for fold, decision in self.decisions.items():
            rows = np.flatnonzero(evidence.folds == fold)
            for row, mixture in zip(
                rows, decision.decide(evidence.take(evidence.folds == fold)), strict=True
            ):
                decided[row] = mixture
        return decided


def explain(
    result: TrialResult,
) -> tuple[Importance | None, dict[str, tuple[Estimate, ...]]]:
    """(importance of every encoder by pair of emotions, [presence, salience, score] without each modality).

    Importance is of the mean of presence and salience accuracy on the clips of a pair, and over all clips.
    Nothing for tasks without blends and for decisions that read label states.
    """
    if result.corpus.space.task != "mixture" or result.decision is None or _reads_states(result):
        return None, {}
    decide = _decisions(result)
    usual = correctness(decide.truth, decide(result.fused.out_of_fold))
    evidence = _evidence(result, result.fused.out_of_fold)
    without: dict[str, tuple[Estimate, ...]] = {}
    for modality in result.modalities if len(result.modalities) > 1 else ():
        changed = result.fused.changed(Change(without=frozenset({modality})))
        compared = correctness(decide.truth, decide(changed))
        found = actor_bootstrap(
            compared, evidence.actors, evidence.folds, seed=0, num_resamples=NUM_RESAMPLES
        )
        without[modality] = (found.presence, found.salience, found.score)
    importance: dict[str, dict[str, Estimate]] = {}
    worth = _worth(usual)
    for name in modality_of(result.config):
        drops = [
            worth - _worth(correctness(decide.truth, decide(permuted)))
            for permuted in _permuted(result.fused, name, evidence.folds)
        ]
        importance[name] = _by_pair(np.mean(drops, axis=0), decide.truth, evidence.actors)
    return importance, without


def explained(result: TrialResult) -> TrialResult:
    """The result with what its models rely on."""
    with one_thread():
        importance, without = explain(result)
    return replace(result, extras=replace(result.extras, importance=importance, without=without))


def _reads_states(result: TrialResult) -> bool:
    return result.train.states is not None


def _decisions(result: TrialResult) -> _Decided:
    """One decision per fold, fitted on the unchanged predictions of the others."""
    assert isinstance(result.cross_fold, Evaluation)
    truth = [mixture for mixture in result.train.truth if mixture is not None]
    return _Decided(result, truth, result.cross_fold.decisions)


def _evidence(result: TrialResult, probabilities: Float[np.ndarray, "clip emotion"]) -> Evidence:
    predictions = PartScores(result.corpus.train, probabilities).predictions()
    return calibrated(predictions.evidence(result.corpus.space), result.config.protocol)


def _permuted(
    fused: Fused, name: str, folds: Int[np.ndarray, "clip"]
) -> list[Float[np.ndarray, "clip emotion"]]:
    """Predictions with the features of one encoder from other clips of the fold."""
    given: list[Float[np.ndarray, "clip emotion"]] = []
    for turn in range(NUM_PERMUTATIONS):
        rng = np.random.default_rng((turn, len(folds)))
        order = np.arange(len(folds))
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            order[rows] = rng.permutation(rows)
        given.append(fused.changed(Change(shuffled=frozenset({name}), order=torch.from_numpy(order))))
    return given


def _worth(compared: Correctness) -> Float[np.ndarray, "clip"]:
    """What every clip adds to the score: presence for all, salience for blends, each by half."""
    blends = compared.is_blend
    return np.where(blends, (compared.presence + compared.salience.astype(float)) / 2, compared.presence)


def _by_pair(
    drop: Float[np.ndarray, "clip"], truth: Sequence[Mixture], actors: Int[np.ndarray, "clip"]
) -> dict[str, Estimate]:
    """Mean drop over the clips of every pair, and over all, with actors resampled."""
    groups = np.array([set_name(mixture.emotions) if mixture.is_blend else "" for mixture in truth])
    pairs = sorted({str(group) for group in groups if group})
    return {ALL: _mean(drop, actors), **{p: _mean(drop[groups == p], actors[groups == p]) for p in pairs}}


def _mean(drop: Float[np.ndarray, "clip"], actors: Int[np.ndarray, "clip"]) -> Estimate:
    _, number = np.unique(actors, return_inverse=True)
    sums = np.stack([np.bincount(number, weights=drop), np.bincount(number)], axis=1)
    drawn = draw_actors(np.random.default_rng(0), len(sums), NUM_RESAMPLES) @ sums
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return Estimate(float(drop.mean()), float(low), float(high))
