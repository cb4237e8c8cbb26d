"""Speaker normalisation of scores: label-free, transductive, and called so wherever it is shown."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError
from blended.data.people import ENOUGH_FOR_SCORES, ROUNDING, of_few_clips
from blended.eval.evidence import Evidence
from blended.eval.population import Population, Populations, populations

Values = Float[ndarray, "clip *score"]

MIN_ENROL_CLIPS = 1
"""As few clips are believed no more than they deserve, no number of them is known to do harm: on two real
HiCMAE outputs for BLEMORE, under `bayes`, one random clip gains .008 [-.014, .027] over none and four gain
.026 [.009, .043]; clips of one set of emotions gain .006 and -.002 (LOG.md, "Enrolment clips")."""


def none(evidence: Evidence, known: Populations | None = None) -> Evidence:
    """The evidence as it is: a clip is judged without looking at other clips of its actor."""
    del known
    return evidence


def standardise_per_actor(evidence: Evidence, known: Populations | None = None) -> Evidence:
    """Standardises every score over the clips of its actor: zero mean, unit standard deviation.

    Transductive: it uses all the unlabelled clips of a person. Where those are few
    (`people.ENOUGH_FOR_SCORES`), they say too little, and one clip is its own mean: each is then standardised
    by the person's other clips as far as they can be believed against `known`, the people that a decision is
    fitted on (without it: those given), as a new person is in `predict`. A score that does not vary over many
    clips becomes 0.
    """
    few = np.flatnonzero(of_few_clips(evidence.actors, ENOUGH_FOR_SCORES))
    logits, states = _whole(evidence.logits, evidence.actors), evidence.states
    states = None if states is None else _whole(states, evidence.actors)
    if len(few):
        people = known or populations(evidence)
        others = {int(row): _others(evidence.actors, int(row)) for row in few}
        logits[few] = _from_enrolment(evidence.logits, others, people.logits)[few]
        if states is not None and evidence.states is not None and people.states is not None:
            states[few] = _from_enrolment(evidence.states, others, people.states)[few]
    return _with_scores(evidence, logits, states)


def _whole(values: Values, actors: Int[ndarray, "clip"]) -> Values:
    found = np.empty_like(values)
    for actor in np.unique(actors):
        rows = actors == actor
        mean, spread = values[rows].mean(axis=0), values[rows].std(axis=0)
        varies = spread > ROUNDING * np.abs(values[rows]).max(axis=0)
        found[rows] = _standardised(values[rows], mean, np.where(varies, spread, 0.0))
    return found


def _others(actors: Int[ndarray, "clip"], row: int) -> list[int]:
    return [other for other in np.flatnonzero(actors == actors[row]).tolist() if other != row]


def standardise_from_enrolment(
    evidence: Evidence,
    num_clips: int,
    seed: int,
    *,
    known: Populations | None = None,
    minimum: int = MIN_ENROL_CLIPS,
    groups: Sequence[str] | None = None,
) -> Evidence:
    """Standardises every clip by `num_clips` random other clips of its actor, and by what people are like.

    How far the few clips are believed follows from `known`, the people that a decision is fitted on (without
    it: those given): see `population`. An actor with too few other clips gives all of them; with fewer than
    `minimum`, or none, an actor counts as unknown and is standardised like anybody. Where `num_clips` itself
    is below `minimum`, nothing is changed. With `groups` (a name per clip) the clips are not drawn at random:
    whole groups are, so that they come from as few groups as possible. Raises InputError for fewer than one
    clip.
    """
    check_enrol_clips(num_clips)
    if num_clips < minimum:
        return evidence
    drawn = _draw(evidence.actors, num_clips, seed, minimum, groups)
    known = known or populations(evidence)
    states = evidence.states
    if states is not None and known.states is not None:
        states = _from_enrolment(states, drawn, known.states)
    return _with_scores(evidence, _from_enrolment(evidence.logits, drawn, known.logits), states)


def check_enrol_clips(num_clips: int) -> None:
    """Raises InputError for fewer than one."""
    if num_clips < 1:
        raise InputError(
            f"{num_clips} clips to enrol a person from, expected 1 or more: to judge every clip by itself, "
            f"leave normalisation per actor out"
        )


Drawn = dict[int, list[int]]
"""Row of a clip -> rows of the other clips that it is standardised by."""


def _draw(
    actors: Int[ndarray, "clip"], num_clips: int, seed: int, minimum: int, groups: Sequence[str] | None
) -> Drawn:
    """One order of clips per actor; of the first K + 1, every clip takes K that it is not."""
    drawn: Drawn = {}
    for actor in np.unique(actors):
        rows = np.flatnonzero(actors == actor)
        count = min(num_clips, len(rows) - 1)
        rng = np.random.default_rng([seed, int(actor)])
        names = None if groups is None else [groups[row] for row in rows.tolist()]
        first = rows[_order(rng, names, len(rows))][: count + 1].tolist()
        for row in rows.tolist():
            drawn[row] = [one for one in first if one != row][:count] if count >= minimum else []
    return drawn


def _from_enrolment(values: Values, drawn: Drawn, people: Population) -> Values:
    found = np.empty_like(values)
    # Most clips of an actor are standardised by the same few.
    habits = {others: people.habits(values[list(others)]) for others in {*map(tuple, drawn.values())}}
    for row, others in drawn.items():
        found[row] = _standardised(values[row], *habits[tuple(others)])
    return found


def _with_scores(
    evidence: Evidence,
    logits: Float[ndarray, "clip model emotion"],
    states: Float[ndarray, "clip state"] | None,
) -> Evidence:
    return replace(evidence, logits=logits, given_probabilities=None, states=states)


def _order(rng: np.random.Generator, groups: Sequence[str] | None, num_clips: int) -> ndarray:
    """A random order of clips; with groups, clips of one group follow each other."""
    order = rng.permutation(num_clips)
    if groups is None:
        return order
    names = sorted(set(groups))
    place = dict(zip(names, rng.permutation(len(names)).tolist(), strict=True))
    places = np.array([place[group] for group in groups])
    return order[np.argsort(places[order], kind="stable")]


def _standardised(values: ndarray, mean: ndarray, spread: ndarray) -> ndarray:
    """A score without spread becomes 0."""
    varies = spread > 0
    return np.where(varies, values - mean, 0.0) / np.where(varies, spread, 1.0)


NORMALISATIONS: dict[str, Callable[[Evidence, Populations | None], Evidence]] = {
    "none": none,
    "actor": standardise_per_actor,
}
TRANSDUCTIVE = frozenset({"actor"})
