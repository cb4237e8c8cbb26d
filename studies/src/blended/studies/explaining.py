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
from torch import Tensor

from blended.data import Mixture
from blended.data.labels import set_name
from blended.encoders.device import one_thread
from blended.eval.estimate import Estimate
from blended.eval.evidence import Evidence
from blended.eval.intervals import ratio, spread
from blended.eval.measures.blends import Correctness, correctness, score_spread
from blended.eval.protocol import FittedDecision, normalised
from blended.eval.run_record import ALL, Attention, Importance, Weights
from blended.fusion.attending import Attended
from blended.fusion.nested import Predicted
from blended.fusion.sources import Change
from blended.fusion.strategies import FUSIONS
from blended.studies.evaluating import fitted_on, undecided
from blended.studies.extras import curve
from blended.studies.predictors import Predictor
from blended.studies.trial import TrialResult, modality_of

NUM_PERMUTATIONS = 3
"""Of an encoder; a single predictor is permuted once, which over a thousand clips is as good."""
MAX_PREDICTORS = {"vectors": 160, "sequences": 60}
"""That are permuted in one run, by what the strategy reads. On a thousand clips and one core a vector costs
0.03 seconds and a sequence 0.7, so that all take 5 and 40 seconds at most."""


@dataclass(frozen=True, slots=True, eq=False)
class _Decided:
    """How the clips of a run are decided, with decisions of the other folds."""

    result: TrialResult
    truth: Sequence[Mixture]
    decisions: Mapping[int, FittedDecision]

    def __call__(self, change: Change | None = None) -> Correctness:
        """Of all training clips."""
        fused = self.result.fused
        states = {} if fused.states is None else {"states": fused.states}
        unchanged = {"emotions": fused.out_of_fold, **states}
        plain = self.evidence(unchanged if change is None else fused.judged(change))
        protocol, decided = self.result.config.protocol, list(self.truth)
        for fold, decision in self.decisions.items():
            scores = normalised(plain, protocol, decision.known)
            held = plain.folds == fold
            for row, mixture in zip(np.flatnonzero(held), decision.decide(scores.take(held)), strict=True):
                decided[row] = mixture
        return correctness(self.truth, decided)

    def evidence(self, predicted: Predicted) -> Evidence:
        """Before normalisation."""
        scores = undecided(self.result.corpus.train, predicted["emotions"], predicted.get("states"))
        return scores.evidence(self.result.corpus.space)


def explained(result: TrialResult, predictors: Sequence[Predictor] = ()) -> TrialResult:
    """The result with what its models rely on: encoders, named predictors, modalities, weights and attention;
    and where scores are normalised per actor, its score against clips of a person.

    Importance is of what a clip adds to the score (singles: presence; blends: the mean of presence and
    salience), over all clips and over those of every pair, or of every emotion in a task without blends.
    """
    with one_thread():
        extras = replace(result.extras, weights=weighed(result))
        if result.decision is None:
            return replace(result, extras=extras)
        truth = [mixture for mixture in result.train.truth if mixture is not None]
        decide = _Decided(result, truth, result.cross_fold.decisions)
        evidence = result.train.evidence(result.corpus.space)
        extras = replace(
            extras,
            enrolment=curve(evidence, truth, result.config.protocol, fitted_on(result.corpus, result.fused)),
            importance=_of_encoders(decide),
            predictors=_of_predictors(decide, predictors),
            without=_without(decide),
        )
    return replace(result, extras=extras)


def _without(decide: _Decided) -> dict[str, tuple[Estimate, ...]]:
    """Modality left out -> presence accuracy, salience accuracy and score, of a corpus with blends."""
    result, found = decide.result, dict[str, tuple[Estimate, ...]]()
    if result.corpus.space.task != "mixture" or len(result.modalities) < 2:
        return found
    evidence = decide.evidence({"emotions": result.fused.out_of_fold})
    for modality in result.modalities:
        compared = decide(Change(without=frozenset({modality})))
        found[modality] = score_spread(compared, evidence.actors, evidence.folds).estimates
    return found


def _of_encoders(decide: _Decided) -> Importance:
    names = modality_of(decide.result.config)
    changes = {name: [(name, None, turn) for turn in range(NUM_PERMUTATIONS)] for name in names}
    return _importance(decide, changes)


def _of_predictors(decide: _Decided, predictors: Sequence[Predictor]) -> Importance | None:
    """As many as are not too dear: all of one feature set, or none; the largest loss first."""
    most = MAX_PREDICTORS.get(FUSIONS[decide.result.config.fusion.name].reads.name, 0)
    kept: list[Predictor] = []
    for feature in dict.fromkeys(one.feature for one in predictors):
        own = [one for one in predictors if one.feature == feature]
        kept += own if len(kept) + len(own) <= most else []
    changes = {one.title: [(one.feature, torch.tensor(one.columns), 0)] for one in kept}
    found = _importance(decide, changes)
    return dict(sorted(found.items(), key=lambda item: -_overall(item[1]))) or None


def _overall(by_pair: Mapping[str, Estimate | float]) -> float:
    value = by_pair[ALL]
    return value.value if isinstance(value, Estimate) else value


def _importance(
    decide: _Decided, changes: Mapping[str, Sequence[tuple[str, Tensor | None, int]]]
) -> dict[str, dict[str, Estimate]]:
    """By name, what is lost on average over some permutations: (feature, columns or all, turn)."""
    evidence = decide.evidence({"emotions": decide.result.fused.out_of_fold})
    worth = _worth(decide())
    found: dict[str, dict[str, Estimate]] = {}
    for name, turns in changes.items():
        changes_of = [
            Change(shuffled=frozenset({feature}), columns=columns, order=_order(evidence.folds, turn))
            for feature, columns, turn in turns
        ]
        drops = [worth - _worth(decide(change)) for change in changes_of]
        found[name] = _by_group(np.mean(drops, axis=0), decide.truth, evidence.actors)
    return found


def _order(folds: Int[np.ndarray, "clip"], turn: int) -> Int[Tensor, "clip"]:
    """From which clip features come: another one of the same fold, drawn by the number of the turn."""
    rng = np.random.default_rng((turn, len(folds)))
    order = np.arange(len(folds))
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        order[rows] = rng.permutation(rows)
    return torch.from_numpy(order)


def _worth(compared: Correctness) -> Float[np.ndarray, "clip"]:
    """What every clip adds to the score: presence for all, salience for blends, each by half."""
    blends = compared.is_blend
    return np.where(blends, (compared.presence + compared.salience.astype(float)) / 2, compared.presence)


def _by_group(
    drop: Float[np.ndarray, "clip"], truth: Sequence[Mixture], actors: Int[np.ndarray, "clip"]
) -> dict[str, Estimate]:
    """Mean drop over all clips, and over those of every pair (emotion, without blends)."""
    blended = any(mixture.is_blend for mixture in truth)
    groups = np.array(
        [set_name(mixture.emotions) if mixture.is_blend == blended else "" for mixture in truth]
    )
    names = sorted({str(group) for group in groups if group})
    chosen = np.stack([np.ones(len(drop)), *(groups == name for name in names)], axis=1).astype(np.float64)
    terms = np.stack([chosen * drop[:, None], chosen], axis=-1)
    # A drop may be negative, as a difference of scores.
    found = spread(terms, chosen, actors, np.zeros_like(actors), ratio, lambda occurs: np.eye(len(occurs)))
    return dict(zip((ALL, *names), replace(found, is_difference=True).estimates, strict=True))


NUM_DECIMALS = 5


def weighed(result: TrialResult) -> Weights | None:
    """Of training clips, by models that did not see them; None for a strategy that has no weights."""
    fused = result.fused
    gates = _gates(result) if fused.gates else {}
    attention = _attention(result)
    if not (gates or fused.shares or attention):
        return None
    shares = {
        name: {where: round(value, NUM_DECIMALS) for where, value in of_folds.items()}
        for name, of_folds in fused.shares.items()
    }
    return Weights(gates, shares, attention)


def _gates(result: TrialResult) -> dict[str, dict[str, float]]:
    """Encoder -> set of emotions, single ones first -> mean gate."""
    truth = result.train.truth
    found = {mixture.emotions for mixture in truth if mixture is not None}
    sets = sorted(found, key=lambda emotions: (len(emotions), set_name(emotions)))
    rows = {
        set_name(emotions): [
            row for row, mixture in enumerate(truth) if mixture is not None and mixture.emotions == emotions
        ]
        for emotions in sets
    }
    everyone = {"all clips": [*range(len(result.train.clip_ids))], **rows}
    return {
        encoder: {name: round(float(gate[own].mean()), NUM_DECIMALS) for name, own in everyone.items()}
        for encoder, gate in result.fused.gates.items()
    }


def _attention(result: TrialResult) -> tuple[Attention, ...]:
    """With the clip that the models read best as an example: a blend, where there are any."""
    if result.fused.attended is None:
        return ()
    example = _best_read(result)
    clip_id = result.corpus.train[example].id
    return tuple(_plain(one, example, clip_id) for one in result.fused.attended([example]))


def _best_read(result: TrialResult) -> int:
    """The place of the clip with most of its probability where it belongs."""
    wanted = np.array([result.corpus.target(clip) for clip in result.corpus.train])
    overlap = np.minimum(result.fused.out_of_fold, wanted).sum(axis=1)
    blends = (wanted > 0).sum(axis=1) > 1
    return int(np.where(blends | ~blends.any(), overlap, -1.0).argmax())


def _plain(one: Attended, example: int, clip_id: str) -> Attention:
    shown = one.clips.get(example)
    given = Attention(
        asking=one.asking,
        answering=one.answering,
        layer=one.layer,
        lags_seconds=_rounded(one.lags_seconds),
        preference=[_rounded(row) for row in one.preference],
        nothing=_rounded(one.nothing),
    )
    if shown is None:
        return given
    return replace(
        given,
        clip_id=clip_id,
        asking_seconds=_rounded(shown.asking_seconds),
        answering_seconds=_rounded(shown.answering_seconds),
        example=[_rounded(row) for row in shown.weights],
    )


def _rounded(values: Float[np.ndarray, "value"]) -> list[float]:
    return [round(float(value), NUM_DECIMALS) for value in values]
