"""The official metrics of BLEMORE (arXiv 2601.13225, section on evaluation).

Pure functions of two equally long sequences of mixtures: what is true and what was predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from blended.data import InputError, Mixture
from blended.eval.intervals import Spread, ratio, spread
from blended.eval.measures.measure import Measure, Terms


@dataclass(frozen=True, slots=True, eq=False)
class Correctness:
    """Per clip, what the two metrics average: everything that weighs clips starts from here."""

    presence: Bool[ndarray, "clip"]
    """The set of emotions is right."""
    salience: Bool[ndarray, "clip"]
    """A blend whose emotions and rounded shares are right; False for single truths."""
    is_blend: Bool[ndarray, "clip"]
    """The truth has two emotions: the clips over which salience is averaged."""


def correctness(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> Correctness:
    """Compares clip by clip.

    Presence: the sets of emotions are equal. Salience: the truth is a blend, and emotions and shares
    rounded to whole percent are equal. Raises InputError for sequences of different lengths.
    """
    if len(truth) != len(predicted):
        raise InputError(f"got {len(truth)} true and {len(predicted)} predicted mixtures: lengths must agree")
    pairs = [(_names_and_percent(t), _names_and_percent(p)) for t, p in zip(truth, predicted, strict=True)]
    is_blend = np.array([len(names) == 2 for (names, _), _ in pairs], dtype=bool)
    return Correctness(
        presence=np.array([names == found for (names, _), (found, _) in pairs], dtype=bool),
        salience=is_blend & np.array([t == p for t, p in pairs], dtype=bool),
        is_blend=is_blend,
    )


def _names_and_percent(mixture: Mixture) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return _of_shares(mixture.shares)


@lru_cache(maxsize=4096)
def _of_shares(shares: tuple[tuple[str, float], ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Emotions in the order of their names, which is that of a mixture, and whole percent.

    Kept, since a choice of decisions compares the same few dozen states a million times.
    """
    rounded = Mixture(dict(shares)).rounded()
    return tuple(rounded), tuple(rounded.values())


def presence_accuracy(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> float:
    """Share of clips whose set of emotions is predicted exactly, in [0, 1].

    Raises InputError for no clips or sequences of different lengths.

    >>> presence_accuracy([Mixture({"ang": 70.0, "hap": 30.0})], [Mixture({"ang": 50.0, "hap": 50.0})])
    1.0
    """
    if not truth:
        raise InputError("presence accuracy of no clips is undefined")
    return float(correctness(truth, predicted).presence.mean())


def salience_accuracy(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> float:
    """Share of true blends whose emotions and whole-percent shares are predicted exactly, in [0, 1].

    0.0 where the truth holds no blend, as the organisers have it. Raises InputError for sequences of
    different lengths.

    >>> truth = [Mixture({"ang": 70.0, "hap": 30.0}), Mixture.single("sad")]
    >>> salience_accuracy(truth, [Mixture({"hap": 30.4, "ang": 69.6}), Mixture.single("ang")])
    1.0
    >>> salience_accuracy(truth, [Mixture({"hap": 40.0, "ang": 60.0}), Mixture.single("sad")])
    0.0
    """
    compared = correctness(truth, predicted)
    blends = int(compared.is_blend.sum())
    return float(compared.salience.sum() / blends) if blends else 0.0


def challenge_score(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> float:
    """The mean of presence and salience accuracy, in [0, 1]; what the FG 2026 challenge ranks by.

    >>> challenge_score([Mixture({"ang": 70.0, "hap": 30.0})], [Mixture({"ang": 50.0, "hap": 50.0})])
    0.5
    """
    return (presence_accuracy(truth, predicted) + salience_accuracy(truth, predicted)) / 2


def score_spread(compared: Correctness, actors: Int[ndarray, "clip"], folds: Int[ndarray, "clip"]) -> Spread:
    """Presence accuracy, salience accuracy and score, from what is right; a fold without blends has
    salience 0."""
    terms, weights = _terms_of(compared), np.stack([one.weights(_BOTH) for one in OF_BLENDS], axis=1)
    return spread(terms.values, terms.counted, actors, folds, ratio, lambda _: weights)


def _terms(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> Terms:
    return _terms_of(correctness(truth, predicted))


def _terms_of(compared: Correctness) -> Terms:
    """Two components, presence over all clips and salience over blends."""
    right = np.stack([compared.presence, compared.salience], axis=1).astype(np.float64)
    counted = np.stack([np.ones_like(compared.is_blend), compared.is_blend], axis=1).astype(np.float64)
    return Terms(np.stack([right, counted], axis=-1), counted)


def _of_presence(occurs: Bool[ndarray, "component"]) -> Float[ndarray, "component"]:
    del occurs
    return np.array([1.0, 0.0])


def _of_salience(occurs: Bool[ndarray, "component"]) -> Float[ndarray, "component"]:
    del occurs
    return np.array([0.0, 1.0])


def _of_score(occurs: Bool[ndarray, "component"]) -> Float[ndarray, "component"]:
    del occurs
    return np.array([0.5, 0.5])


_BOTH = np.array([True, True])

PRESENCE = Measure(
    "presence_accuracy",
    "presence",
    "Presence",
    "presence accuracy",
    ("mixture",),
    presence_accuracy,
    _terms,
    _of_presence,
)
SALIENCE = Measure(
    "salience_accuracy",
    "salience",
    "Salience",
    "salience accuracy",
    ("mixture",),
    salience_accuracy,
    _terms,
    _of_salience,
)
SCORE = Measure(
    "score", "score", "Score", "score", ("mixture",), challenge_score, _terms, _of_score, by_fold=False
)
OF_BLENDS = (PRESENCE, SALIENCE, SCORE)
