"""What is known of a person before any clip of theirs: how people's scores differ, and within a person.

Scores of clip c of actor a are taken as `mean + b_a + e_ac`, with `b_a` of variance `between` and `e_ac` of a
variance that differs from actor to actor around `within`. All of it is estimated without labels, by moments:

* `mean`, `between`: one-way random effects of groups of unequal size (`blended.data.people`);
* `within` and how much it differs: a scaled inverse chi-square prior, fitted to the actors' variances (Smyth,
  "Linear models and empirical Bayes methods", 2004, section 6.2).

From K clips of a person the best linear prediction of `b_a` is `K / (K + within / between)` of what the
clips' mean differs from everybody's, and the variance is the mean of the person's and the prior's, weighted
by their degrees of freedom. Nothing is left undefined for one clip, or none: those are judged like anybody.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from blended.data.people import believed, components
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
