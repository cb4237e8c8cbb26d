"""First the set of emotions, then the ratio of that pair: P(state) = P(set) P(ratio | pair).

The set model is a regularised multinomial over the emotion sets. The ratio model is shared by all
pairs: a multinomial over the shares of the first emotion of the pair (in the order of the label space)
on the differences of the two emotions' scores and an indicator of the pair.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.eval.decisions.decider import (
    Decide,
    FitOptions,
    choose,
    maximise_expected_score,
    set_of_state,
    state_numbers,
)
from blended.eval.decisions.multinomial import INVERSE_PENALTIES, Multinomial, multinomials_of
from blended.eval.evidence import Evidence

# The ratio model's classes are whole percent, 0 to 100.
NUM_SHARES = 101


@dataclass(frozen=True, slots=True)
class Pair:
    """One emotion set of two, and its states by rounded share of the first emotion."""

    first: int
    second: int
    """Columns of the two emotions, ascending."""
    states: dict[int, int]
    """Share of `first` in percent -> position among the states of the space."""


@cache
def pairs_of(space: LabelSpace) -> tuple[Pair, ...]:
    """The pairs of a label space in the order of its states."""
    pairs: list[Pair] = []
    for emotions in space.emotion_sets:
        if len(emotions) == 2:
            first, second = sorted(space.emotions.index(emotion) for emotion in emotions)
            states = {
                state.rounded()[space.emotions[first]]: number
                for number, state in enumerate(space.states)
                if state.emotions == emotions
            }
            pairs.append(Pair(first, second, states))
    return tuple(pairs)


def ratio_inputs(evidence: Evidence, pair: Pair, number: int, num_pairs: int) -> ndarray:
    """[clip, model + pair]: differences of the two emotions' scores, and which pair it is."""
    difference = evidence.logits[:, :, pair.first] - evidence.logits[:, :, pair.second]
    indicator = np.zeros((len(difference), num_pairs))
    indicator[:, number] = 1
    return np.concatenate([difference, indicator], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class SetRatio:
    """The two models."""

    sets: Multinomial
    ratios: Multinomial | None
    """Classes are shares of the first emotion in percent; None where no blend was seen."""
    inverse_penalty: float
    blend_share: float
    """Share of blends among the clips fitted on, in [0, 1]."""
    presence_weight: float = 0.5
    """Of the score that is maximised, in [0, 1]."""

    @property
    def parameters(self) -> dict[str, float]:
        """The chosen inverse penalty, common to both models."""
        return {"inverse_penalty": self.inverse_penalty}

    def posterior(self, evidence: Evidence) -> Float[ndarray, "clip state"]:
        """P(state | scores)."""
        space = evidence.space
        sets = set_of_state(space)
        full = self.sets.posterior(evidence.inputs(), len(space.emotion_sets))[:, sets]
        pairs = pairs_of(space)
        if self.ratios is None or not pairs:
            full[:, [state for pair in pairs for state in pair.states.values()]] = 0
            return full
        # All pairs below each other in one table: what is said of a row does not depend on the others.
        rows = [ratio_inputs(evidence, pair, number, len(pairs)) for number, pair in enumerate(pairs)]
        ratios = self.ratios.posterior(np.concatenate(rows), NUM_SHARES)
        for pair, ratio in zip(pairs, np.split(ratios, len(pairs)), strict=True):
            full[:, list(pair.states.values())] *= ratio[:, list(pair.states)]
        return full

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """The state with the largest expected challenge score."""
        return maximise_expected_score(
            self.posterior(evidence),
            evidence.space,
            blend_share=self.blend_share,
            presence_weight=self.presence_weight,
        )


def set_ratios_of(
    evidence: Evidence, truth: Sequence[Mixture], presence_weight: float = 0.5
) -> Callable[[float], SetRatio]:
    """Inverse penalty -> both models fitted with it; what all of them share is computed once."""
    space = evidence.space
    numbers = state_numbers(truth, space)
    sets_of = multinomials_of(evidence.inputs(), set_of_state(space)[numbers])
    rows: list[ndarray] = []
    shares: list[int] = []
    pairs = pairs_of(space)
    for number, pair in enumerate(pairs):
        share_of_state = {state: share for share, state in pair.states.items()}
        chosen = np.isin(numbers, list(share_of_state))
        rows.append(ratio_inputs(evidence.take(chosen), pair, number, len(pairs)))
        shares.extend(share_of_state[int(state)] for state in numbers[chosen])
    ratios_of = multinomials_of(np.concatenate(rows), np.array(shares)) if shares else None
    blend_share = float(np.mean([mixture.is_blend for mixture in truth]))

    def fit(inverse_penalty: float) -> SetRatio:
        ratios = None if ratios_of is None else ratios_of(inverse_penalty)
        return SetRatio(sets_of(inverse_penalty), ratios, inverse_penalty, blend_share, presence_weight)

    return fit


def fit_once(
    inverse_penalty: float, evidence: Evidence, truth: Sequence[Mixture], presence_weight: float = 0.5
) -> SetRatio:
    """Fits both models with a given penalty."""
    return set_ratios_of(evidence, truth, presence_weight)(inverse_penalty)


def fit_set_ratio(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> SetRatio:
    """Fits with the penalty that inner cross-validation prefers; the seed changes nothing."""

    def deciding(evidence: Evidence, truth: Sequence[Mixture]) -> Decide:
        fit = set_ratios_of(evidence, truth, options.presence_weight)
        return lambda inverse_penalty, held: fit(inverse_penalty).decide(held)

    weight = options.presence_weight
    best, _ = choose(INVERSE_PENALTIES, deciding, evidence, truth, presence_weight=weight)
    return fit_once(best, evidence, truth, weight)
