"""Speaker normalisation of scores: label-free, transductive, and called so wherever it is shown.

What is known of a person before any clip of theirs is how people's scores differ, and within a person.
Scores of clip c of actor a are taken as `mean + b_a + e_ac`, with `b_a` of variance `between` and `e_ac` of a
variance that differs from actor to actor around `within`. All of it is estimated without labels, by moments:

* `mean`, `between`: one-way random effects of groups of unequal size (`blended.data.people`);
* `within` and how much it differs: a scaled inverse chi-square prior, fitted to the actors' variances (Smyth,
  "Linear models and empirical Bayes methods", 2004, section 6.2).

From K clips of a person the best linear prediction of `b_a` is `K / (K + within / between)` of what the
clips' mean differs from everybody's, and the variance is the mean of the person's and the prior's, weighted
by their degrees of freedom. Nothing is left undefined for one clip, or none: those are judged like anybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data import InputError
from blended.data.people import ENOUGH_FOR_SCORES, ROUNDING, believed, components, of_few_clips
from blended.eval.evidence import Evidence

Values = Float[ndarray, "clip *score"]
OfActors = Float[ndarray, "actor *score"]
OfScores = Float[ndarray, "*score"]


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """How scores are distributed over people and their clips; a number per score."""

    mean: OfScores
    between: OfScores
    """Variance of actors' means, 0 or more; 0 also where only one actor is known."""
    within: OfScores
    """Typical variance over the clips of one actor, 0 or more."""
    within_clips: OfScores
    """How many clips' worth of certainty `within` has about a new person (degrees of freedom); infinite where
    actors' variances differ no more than by chance."""

    def habits(self, clips: Values) -> tuple[OfScores, OfScores]:
        """A person's mean and standard deviation, from clips of theirs; without any, everybody's."""
        if not len(clips):
            return self.mean, np.sqrt(self.within)
        weight = believed(len(clips), self.between, self.within)
        mean = self.mean + weight * (clips.mean(axis=0) - self.mean)
        if len(clips) == 1:
            return mean, np.sqrt(self.within)
        known = (len(clips) - 1) / (len(clips) - 1 + self.within_clips)
        return mean, np.sqrt((1 - known) * self.within + known * clips.var(axis=0, ddof=1))


@dataclass(frozen=True, slots=True, eq=False)
class Populations:
    """Of all scores that there are."""

    logits: Population
    """[model emotion]"""
    states: Population | None = None


def populations(evidence: Evidence) -> Populations:
    """What the given clips, which need no labels, say about people; raises no error for few of them."""
    states = evidence.states
    return Populations(
        population(evidence.logits, evidence.actors),
        None if states is None else population(states, evidence.actors),
    )


def population(values: Values, actors: Int[ndarray, "clip"]) -> Population:
    """Estimated from clips of several actors; see the top of the file."""
    found = components(values, actors)
    several = found.counts > 1
    freedom = found.counts.reshape(-1, *(1,) * (values.ndim - 1))[several] - 1.0
    prior = _prior(found.squares[several] / freedom, freedom, found.within)
    return Population(found.mean, found.between, *prior)


def _prior(
    variances: OfActors, freedom: Float[ndarray, "actor *one"], pooled: OfScores
) -> tuple[OfScores, OfScores]:
    """Typical variance and its degrees of freedom, from actors' variances (Smyth 2004, section 6.2).

    Where they cannot be told from one variance for all: the pooled one, with infinitely many.
    """
    from scipy.special import digamma, polygamma  # half a second that nobody else needs to wait for

    typical, certainty = pooled.copy(), np.full_like(pooled, np.inf)
    usable = (pooled > 0) & (variances > 0).all(axis=0)
    if len(variances) < 2 or not usable.any():
        return typical, certainty
    half = np.broadcast_to(freedom, variances.shape)[:, usable] / 2
    logs = np.log(variances[:, usable]) - digamma(half) + np.log(half)
    excess = logs.var(axis=0, ddof=1) - polygamma(1, half).mean(axis=0)
    differs = excess > 0
    half_prior = _inverse_trigamma(excess[differs])
    chosen = np.flatnonzero(usable)[differs]
    certainty.flat[chosen] = 2 * half_prior
    typical.flat[chosen] = np.exp(logs.mean(axis=0)[differs] + digamma(half_prior) - np.log(half_prior))
    return typical, certainty


def _inverse_trigamma(values: Float[ndarray, "score"]) -> Float[ndarray, "score"]:
    """Where the trigamma function has the given positive values; Newton's method (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    found = 0.5 + 1 / values
    for _ in range(50):
        trigamma = polygamma(1, found)
        found = found + trigamma * (1 - trigamma / values) / polygamma(2, found)
    return found


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
