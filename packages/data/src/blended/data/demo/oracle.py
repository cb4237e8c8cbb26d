"""The ceiling: how well labels can be read from the clean parameters of the clips, knowing the generator.

The oracle sees the realised weights of face and voice, the lag and whether the clip is voiced, and knows
the actor's gains and the size of all noise. It does not see strength and level, and integrates over them.
It decides clip by clip for the label state that maximises the expected mean of presence and salience
accuracy. (Knowing besides that an actor performs every label equally often would take it further.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blended.data.demo.actors import Actor
from blended.data.demo.config import CLIPS_OF_COMPLETE_ACTOR
from blended.data.demo.performance import (
    FACE_NOISE,
    LAG_NOISE_SECONDS,
    STRENGTH_NOISE,
    VOICE_NOISE,
    Performance,
    shares_of,
    strengths_of,
    unvoiced_share,
)
from blended.data.demo.script import NUM_LEVELS
from blended.data.demo.signatures import (
    FACE_BY_EMOTION,
    LAG_SECONDS_BY_EMOTION,
    VOICE_BY_EMOTION,
    Array,
    label_space,
)
from blended.data.labels import Mixture

NUM_STRENGTHS = 9
"""Nodes of the quadrature over the noise of the strength."""


@dataclass(frozen=True, slots=True)
class View:
    """What an oracle is allowed to see."""

    face: bool = True
    """The realised weights of the facial patterns."""
    voice: bool = True
    """The realised weights of the kinds of voice, and whether the clip is voiced."""
    timing: bool = True
    """The realised lag of the voice behind the face."""


VIEWS = {
    "face": View(voice=False, timing=False),
    "voice": View(face=False, timing=False),
    "face_and_voice": View(timing=False),
    "face_voice_and_timing": View(),
}
"""The modalities whose ceilings are published."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The clean parameters of C clips, and what is known of their actors."""

    face_CP: Array
    """Realised weights of the facial patterns."""
    voice_CK: Array
    """Realised weights of the kinds of voice."""
    lag_seconds_C: Array
    is_voiced_C: NDArray[np.bool_]
    face_gain_C1: Array
    voice_gain_C1: Array


def evidence(performances: Sequence[Performance], actors: Sequence[Actor]) -> Evidence:
    """Collects what the oracle sees; `actors` has the actor of each clip."""
    return Evidence(
        face_CP=np.stack([p.face_weights for p in performances]),
        voice_CK=np.stack([p.voice_weights for p in performances]),
        lag_seconds_C=np.array([p.lag_seconds for p in performances]),
        is_voiced_C=np.array([p.is_voiced for p in performances]),
        face_gain_C1=np.array([[actor.face_gain] for actor in actors]),
        voice_gain_C1=np.array([[actor.voice_gain] for actor in actors]),
    )


def decide(seen: Evidence, view: View) -> list[Mixture]:
    """The oracle's label of every clip."""
    states = label_space().states
    log_posterior = np.stack([log_joint(seen, state, view) for state in states], axis=1)
    posterior_CS = np.exp(log_posterior - np.logaddexp.reduce(log_posterior, axis=1, keepdims=True))
    is_blend = np.array([state.is_blend for state in states])
    same_set = np.array([[a.emotions == b.emotions for a in states] for b in states], dtype=float)
    num_blends = CLIPS_OF_COMPLETE_ACTOR - NUM_LEVELS * int((~is_blend).sum())
    # Presence counts in every clip, salience in blends only, which are num_blends of 54.
    gain_CS = posterior_CS @ same_set + posterior_CS * is_blend * CLIPS_OF_COMPLETE_ACTOR / num_blends
    # States that a view cannot tell apart differ by rounding only; the first is taken, on any machine.
    return [states[int(best)] for best in gain_CS.round(9).argmax(axis=1)]


def log_joint(seen: Evidence, state: Mixture, view: View) -> Array:
    """[clip]: log p(what is seen, state), up to a constant that is the same for all states."""
    prior = (1 if state.is_blend else NUM_LEVELS) / CLIPS_OF_COMPLETE_ACTOR
    total = np.full(len(seen.lag_seconds_C), np.log(prior))
    if view.face or view.voice:
        total = total + _log_patterns(seen, state, view)
    if view.voice:
        unvoiced = unvoiced_share(state)
        total = total + np.log(np.where(seen.is_voiced_C, 1 - unvoiced, unvoiced))
    if view.timing:
        miss = (seen.lag_seconds_C - LAG_SECONDS_BY_EMOTION @ shares_of(state)) / LAG_NOISE_SECONDS
        total = total - 0.5 * miss**2
    return total


def _log_patterns(seen: Evidence, state: Mixture, view: View) -> Array:
    """[clip]: log p(weights of face and voice | state), integrated over the common strength."""
    shares, levels = shares_of(state), strengths_of(state)
    face, voice = FACE_BY_EMOTION @ shares, VOICE_BY_EMOTION @ shares
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(NUM_STRENGTHS)
    terms: list[Array] = []
    for level in levels:
        for node, weight in zip(nodes, node_weights / node_weights.sum(), strict=True):
            strength = level * np.exp(STRENGTH_NOISE * node)
            term = np.full(len(seen.lag_seconds_C), np.log(weight / len(levels)))
            if view.face:
                term = term - _half_square(seen.face_CP - seen.face_gain_C1 * strength * face, FACE_NOISE)
            if view.voice:
                term = term - _half_square(seen.voice_CK - seen.voice_gain_C1 * strength * voice, VOICE_NOISE)
            terms.append(term)
    return np.logaddexp.reduce(np.stack(terms), axis=0)


def _half_square(miss: Array, noise: float) -> Array:
    return 0.5 * ((miss / noise) ** 2).sum(axis=1)


def accuracies(truth: Sequence[Mixture], decided: Sequence[Mixture]) -> dict[str, float]:
    """Presence and salience accuracy as BLEMORE defines them, and their mean.

    They are written out here because this package lies below the one with the metrics.
    """
    present = [t.emotions == d.emotions for t, d in zip(truth, decided, strict=True)]
    salient = [t.rounded() == d.rounded() for t, d in zip(truth, decided, strict=True) if t.is_blend]
    presence = float(np.mean(present)) if present else 0.0
    salience = float(np.mean(salient)) if salient else 0.0
    return {
        "presence_accuracy": round(presence, 6),
        "salience_accuracy": round(salience, 6),
        "score": round((presence + salience) / 2, 6),
    }


def ceiling(
    truth: Sequence[Mixture], performances: Sequence[Performance], actors: Sequence[Actor]
) -> dict[str, object]:
    """The oracle's accuracies for every view, with the number of clips and of blends they rest on."""
    seen = evidence(performances, actors)
    return {
        "num_clips": len(truth),
        "num_blends": sum(mixture.is_blend for mixture in truth),
        "oracle": {name: accuracies(truth, decide(seen, view)) for name, view in VIEWS.items()},
    }
