"""What a decision is made from: the outputs of one or several models for the same clips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError, LabelSpace, Scores
from blended.data.people import numbered

# Smaller probabilities say no more than "never"; their logarithm would dominate a standardisation.
SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Scores of every model for every clip, aligned, with who is seen."""

    logits: Float[ndarray, "clip model emotion"]
    """Log-probabilities up to a constant per clip and model; emotions in the order of the space."""
    actors: Int[ndarray, "clip"]
    """A number per actor."""
    folds: Int[ndarray, "clip"]
    """The published validation fold of every clip."""
    space: LabelSpace
    given_probabilities: Float[ndarray, "clip model emotion"] | None = None
    """Probabilities as the models gave them, which a logarithm and its inverse would round; None where
    the logits have been normalised or are all there is."""
    states: Float[ndarray, "clip state"] | None = None
    """Log-probabilities of the states of the space, up to a constant; None where no model has them."""

    def __post_init__(self) -> None:
        """Arrays in one memory order: a sum over eight emotions has other last digits in another."""
        for name in ("logits", "given_probabilities", "states"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.ascontiguousarray(values, dtype=np.float64))

    def take(self, rows: ndarray) -> "Evidence":
        """The given clips only (a mask or row numbers)."""
        given, states = self.given_probabilities, self.states
        return replace(
            self,
            logits=self.logits[rows],
            actors=self.actors[rows],
            folds=self.folds[rows],
            given_probabilities=None if given is None else given[rows],
            states=None if states is None else states[rows],
        )

    def probabilities(self) -> Float[ndarray, "clip model emotion"]:
        """What was given, or the softmax per model."""
        if self.given_probabilities is not None:
            return self.given_probabilities
        shifted = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)

    def mean_probabilities(self) -> Float[ndarray, "clip emotion"]:
        """Late fusion: the mean of the models' probabilities."""
        return self.probabilities().mean(axis=1)

    def inputs(self) -> Float[ndarray, "clip feature"]:
        """What a learned decision sees: all scores of all models side by side, and those of states."""
        flat = self.logits.reshape(len(self.logits), prod(self.logits.shape[1:]))
        return flat if self.states is None else np.concatenate([flat, self.states], axis=1)


def gather(
    scores: Sequence[Scores],
    actors: Sequence[str],
    folds: Sequence[int],
    space: LabelSpace,
    states: Float[ndarray, "clip state"] | None = None,
) -> Evidence:
    """Stacks the scores of several models.

    All must cover the same clips in the same order and have one column per emotion, in any order;
    `actors` (empty where nobody says who is seen) and `folds` follow those clips, as do `states`,
    probabilities of the states of the space in their order. Raises InputError for different clips, or another
    number of states.
    """
    for one in scores[1:]:
        if one.clip_ids != scores[0].clip_ids:
            raise InputError(
                "the models' scores are not of the same clips in the same order; align them first"
            )
    if states is not None and states.shape != (expected := (len(scores[0].clip_ids), len(space.states))):
        raise InputError(f"probabilities of label states have shape {states.shape}, expected {expected}")
    in_order = [_in_space_order(one, space) for one in scores]
    return Evidence(
        logits=np.stack([_log_scores(one) for one in in_order], axis=1),
        actors=numbered(actors),
        folds=np.asarray(folds, dtype=np.int64),
        space=space,
        given_probabilities=np.stack([one.probabilities() for one in in_order], axis=1),
        states=None if states is None else np.log(np.maximum(states, SMALLEST_PROBABILITY)),
    )


def _in_space_order(scores: Scores, space: LabelSpace) -> Scores:
    """Before any sum, so that the order of columns in a file cannot change a rounding."""
    values = scores.values[:, [scores.columns.index(emotion) for emotion in space.emotions]]
    return replace(scores, columns=space.emotions, values=values)


def _log_scores(scores: Scores) -> Float[ndarray, "clip emotion"]:
    if scores.kind == "probabilities":
        return np.log(np.maximum(scores.values, SMALLEST_PROBABILITY))
    return scores.values
