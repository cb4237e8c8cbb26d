"""What a fitted decision is, and what several decisions are made with.

Knobs chosen by cross-validation inside, products to the bit, posteriors over label states decoded so that the
expected challenge score is largest. What stands in place of a decision for intensities is here too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError, LabelSpace, Mixture
from blended.data.labels import SoftLabel
from blended.eval.evidence import Evidence
from blended.eval.measures.blends import correctness


@runtime_checkable
class Decider(Protocol):
    """A fitted decision."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """What was fitted or chosen and is worth reporting, such as alpha and beta."""
        ...

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """One mixture per clip, in the order of the clips."""
        ...


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What a user may ask of a decision; most ignore most of it."""

    seed: int = 0
    presence_weight: float = 0.5
    """Weight of presence accuracy in the score that is maximised, in [0, 1]; the rest is salience's."""


Fit = Callable[[Evidence, Sequence[Mixture], FitOptions], Decider]
"""(evidence, truth, options) of the clips to fit on -> Decider."""


IDENTITY = "identity"
"""What this decision is called where one must be named."""


def intensities(evidence: Evidence) -> list[SoftLabel]:
    """The mean of the models' scores per emotion, cut to [0, 1]; nothing is fitted.

    Scores are intensities here, read as they are (`--scores logits`), and never made to add up to 1. It is
    not among `DECISIONS`, whose entries answer with mixtures. Raises InputError for another task.
    """
    space = evidence.space
    if space.task != "intensities":
        raise InputError(f"the task is {space.task!r}, expected 'intensities': use another decision")
    values = np.clip(evidence.logits.mean(axis=1), 0.0, 1.0)
    return [SoftLabel(space.emotions, tuple(row), "intensities") for row in values.tolist()]


def row_products(
    rows: Float[ndarray, "row feature"], columns: Float[ndarray, "feature column"]
) -> Float[ndarray, "row column"]:
    """`rows @ columns`; a row gives the same bits whatever the other rows, memory orders and processor are.

    A BLAS adds up in an order that depends on its kernel (AVX2, AVX-512), its threads, the memory order of
    both matrices and the number of rows, so the last bit of a clip's probability would too: a decision could
    come out otherwise for one clip than for the same clip among others, or once it is stored and read. The
    matrices of decisions are tiny. Here every sum is taken in the order of its terms, one rounding after
    each, as IEEE 754 says, on any processor.

    >>> row_products(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    total = np.zeros((len(rows), columns.shape[1]))
    for feature in range(rows.shape[1]):
        total += rows[:, feature, None] * columns[feature]
    return total


MIN_FOLDS = 3

Decide = Callable[[float, Evidence], list[Mixture]]
"""(knob, clips) -> what is decided of them."""


def inner_splits(evidence: Evidence) -> Iterator[tuple[ndarray, ndarray]]:
    """(fit, hold) row numbers: one published fold held at a time, or groups of actors if too few folds.

    Both keep all clips of an actor on one side; a lone actor leaves nothing to hold.
    """
    rows = np.arange(len(evidence.folds))
    folds = np.unique(evidence.folds)
    if len(folds) >= MIN_FOLDS:
        for fold in folds:
            held = evidence.folds == fold
            yield rows[~held], rows[held]
    elif (num_groups := min(MIN_FOLDS, len(np.unique(evidence.actors)))) > 1:
        from sklearn.model_selection import GroupKFold  # seconds that most corpora need not wait for

        yield from GroupKFold(num_groups).split(rows, groups=evidence.actors)


def choose(
    knobs: Sequence[float],
    deciding: Callable[[Evidence, Sequence[Mixture]], Decide],
    evidence: Evidence,
    truth: Sequence[Mixture],
    *,
    presence_weight: float = 0.5,
) -> tuple[float, list[float]]:
    """The knob with the best mean score over held parts, and every knob's score.

    The score is the challenge's for a `presence_weight` of 0.5, in general presence and salience accuracy
    weighted by it and the rest.

    `deciding(evidence, truth)` prepares once what all knobs are fitted on; what it returns is called with a
    knob and the held evidence, and fits and decides. The first best wins, so list knobs from the most
    regularised; so does the first where nothing can be held.
    """
    totals = np.zeros(len(knobs))
    for fit, hold in inner_splits(evidence):
        fit_truth, held_truth = [truth[row] for row in fit], [truth[row] for row in hold]
        decide, held = deciding(evidence.take(fit), fit_truth), evidence.take(hold)
        for number, knob in enumerate(knobs):
            right = correctness(held_truth, decide(knob, held))
            blends = int(right.is_blend.sum())
            salience = float(right.salience.sum() / blends) if blends else 0.0
            totals[number] += presence_weight * right.presence.mean() + (1 - presence_weight) * salience
    return knobs[int(totals.argmax())], totals.tolist()


def state_numbers(truth: Sequence[Mixture], space: LabelSpace) -> Int[ndarray, "clip"]:
    """[clip]: the position of every mixture among the states of the space.

    Raises InputError for a mixture that is none of them.
    """
    position = {state.shares: number for number, state in enumerate(space.states)}
    numbers = np.array([position.get(mixture.shares, -1) for mixture in truth], dtype=np.int64)
    if (numbers < 0).any():
        raise InputError(
            f"{truth[int(numbers.argmin())].name} is none of the {len(position)} label states of the corpus: "
            f"a learned decision needs truth among them; use --decision thresholds for other shares"
        )
    return numbers


@cache
def set_of_state(space: LabelSpace) -> Int[ndarray, "state"]:
    """[state]: the position of its set of emotions among the sets of the space."""
    position = {emotions: number for number, emotions in enumerate(space.emotion_sets)}
    sets = np.array([position[state.emotions] for state in space.states], dtype=np.int64)
    sets.flags.writeable = False
    return sets


def maximise_expected_score(
    posterior: Float[ndarray, "clip state"],
    space: LabelSpace,
    *,
    blend_share: float,
    presence_weight: float = 0.5,
) -> list[Mixture]:
    """The state that is worth most per clip.

    Naming state s is worth w P(set of s) for presence, a mean over all clips, plus (1 - w) P(s) / b
    for salience if s is a blend, a mean over the share b of clips that are blends. This is the expected
    challenge score, times the number of clips, for presence weight w = 0.5.
    """
    sets = set_of_state(space)
    presence = row_products(posterior, (sets[:, None] == sets).astype(float))
    is_blend = np.array([state.is_blend for state in space.states], dtype=float)
    salience = posterior * is_blend / max(blend_share, 1e-9)
    gain = presence_weight * presence + (1 - presence_weight) * salience
    return [space.states[number] for number in gain.argmax(axis=1)]
