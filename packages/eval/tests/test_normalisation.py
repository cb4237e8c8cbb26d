"""Per-actor standardisation: what it makes, and what it must not see."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.data import InputError, Scores
from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.eval.evidence import Evidence, gather
from blended.eval.normalisation import (
    NORMALISATIONS,
    Population,
    Populations,
    none,
    populations,
    standardise_from_enrolment,
    standardise_per_actor,
)
from blended.eval.protocol import Protocol, normalised, people_of

MANY = (0,) * 20 + (1,) * 17 + (2,) * 30


def toy(seed: int = 0, actors: tuple[int, ...] = MANY) -> Evidence:
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(np.array(actors))
    logits = rng.normal(size=(len(actors), 2, 6)) * rng.uniform(0.1, 9, size=(max(actors) + 1, 2, 6))[numbers]
    return Evidence(logits, numbers, np.zeros(len(actors), dtype=np.int64), SPACE)


def test_every_score_of_every_actor_has_zero_mean_and_unit_spread() -> None:
    found = standardise_per_actor(toy())
    for actor in (0, 1, 2):
        values = found.logits[found.actors == actor]
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-12)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_a_shift_and_scale_per_actor_model_and_emotion_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = toy()
    shift = rng.normal(size=(3, 2, 6)) * 20
    scale = rng.uniform(0.01, 100, size=(3, 2, 6))
    moved = replace(evidence, logits=evidence.logits * scale[evidence.actors] + shift[evidence.actors])
    np.testing.assert_allclose(
        standardise_per_actor(moved).logits, standardise_per_actor(evidence).logits, atol=1e-8
    )


def test_an_actor_is_normalised_by_own_clips_only() -> None:
    evidence = toy()
    mine = evidence.actors == 1
    others_changed = replace(evidence, logits=np.where(mine[:, None, None], evidence.logits, 99.0))
    np.testing.assert_array_equal(
        standardise_per_actor(others_changed).logits[mine], standardise_per_actor(evidence).logits[mine]
    )


def held_against_everybody(evidence: Evidence, row: int, people: Population) -> np.ndarray:
    """A clip of a person with few, number by number: the moments of `population`, written out."""
    mine = [other for other in range(len(evidence.actors)) if evidence.actors[other] == evidence.actors[row]]
    others = [other for other in mine if other != row]
    found = np.empty((2, 6))
    for place in np.ndindex(2, 6):
        mean, within, between = people.mean[place], people.within[place], people.between[place]
        if others:
            own = float(np.mean([evidence.logits[(other, *place)] for other in others]))
            mean += len(others) * between / (len(others) * between + within) * (own - mean)
        if len(others) > 1:
            variance = float(np.var([evidence.logits[(other, *place)] for other in others], ddof=1))
            prior, freedom = people.within_clips[place], len(others) - 1
            within = within if np.isinf(prior) else (prior * within + freedom * variance) / (prior + freedom)
        found[place] = (evidence.logits[(row, *place)] - mean) / np.sqrt(within)
    return found


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_few_clips_of_an_actor_are_held_against_everybody(count: int) -> None:
    """No two clips get one answer; people with many clips keep theirs to the bit."""
    evidence = toy(actors=(*MANY, *(3,) * count))
    few = evidence.actors == 3
    known = populations(evidence.take(~few))
    found = standardise_per_actor(evidence, known)
    for row in np.flatnonzero(few):
        expected = held_against_everybody(evidence, int(row), known.logits)
        np.testing.assert_allclose(found.logits[row], expected, rtol=1e-12)
    plain = standardise_per_actor(evidence.take(~few))
    np.testing.assert_array_equal(found.logits[~few], plain.logits)
    assert len(np.unique(found.logits[few][:, 0, 0])) == count
    assert (found.logits[few] != 0).all()


def test_nobody_with_many_clips_leaves_everybody_apart() -> None:
    """Sixty people of two to four clips: what is left of a clip is its deviation, not who is seen."""
    rng = np.random.default_rng(5)
    actors = np.repeat(np.arange(60), rng.integers(2, 5, 60))
    signal = rng.normal(size=(len(actors), 2, 6))
    logits = 10 * rng.normal(size=(60, 2, 6))[actors] + signal
    found = standardise_per_actor(Evidence(logits, actors, np.zeros_like(actors), SPACE)).logits
    agreement = np.corrcoef(found.ravel(), signal.ravel())[0, 1]
    assert agreement > 0.75 > np.corrcoef(logits.ravel(), signal.ravel())[0, 1]


def test_unnamed_clips_are_nobodys_twice() -> None:
    """As many people as clips, so that strangers are not standardised as if they were one person."""
    columns = Scores(("a", "b", "c", "d"), EMOTIONS, np.eye(4, 6))
    assert gather([columns], ["x", "", "x", ""], [0] * 4, SPACE).actors.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("enrol_clips", [None, 4])
def test_where_nobody_is_seen_twice_there_is_nothing_to_compare(enrol_clips: int | None) -> None:
    alone = toy(actors=tuple(range(40)))
    rules = Protocol("templates", "actor", enrol_clips=enrol_clips)
    sentence = "normalise: actor compares .* 40 clips are of 40 people: none beside the first of each"
    for clips in (alone, replace(alone, actors=np.array([38, *range(39)]))):
        with pytest.raises(InputError, match=sentence if clips is alone else "39 people: 1 beside"):
            normalised(clips, rules)
        with pytest.raises(InputError, match="a card with `actor: null` names nobody"):
            people_of(clips, rules)
    known = populations(toy())
    assert (normalised(alone, rules, known).logits != 0).all(), "strangers, judged like anybody"


def test_a_score_that_does_not_vary_becomes_zero_and_not_rounding_noise() -> None:
    """The mean of 23 times 0.1 is not 0.1: dividing by that spread would make noise of size 1."""
    evidence = toy(actors=(0,) * 23)
    evidence.logits[:, 0, 0] = 0.1
    assert (evidence.logits[:, 0, 0] != evidence.logits.mean(axis=0)[0, 0]).any()
    np.testing.assert_array_equal(standardise_per_actor(evidence).logits[:, 0, 0], 0)


def test_given_probabilities_do_not_survive_normalisation() -> None:
    evidence = toy()
    given_probabilities = np.full((67, 2, 6), 1 / 6)
    found = standardise_per_actor(replace(evidence, given_probabilities=given_probabilities))
    assert found.given_probabilities is None
    assert found.probabilities()[0, 0] != pytest.approx(1 / 6)


def test_none_returns_the_evidence_itself() -> None:
    evidence = toy()
    assert none(evidence) is evidence
    assert set(NORMALISATIONS) == {"none", "actor"}


BOUNDLESS = Populations(
    Population(np.zeros((2, 6)), np.full((2, 6), 1e300), np.ones((2, 6)), np.zeros((2, 6)))
)
"""People who differ so much that only a person's own clips count."""


def test_where_people_differ_without_bounds_only_their_own_clips_count() -> None:
    """Then it is plain standardisation over the other clips."""
    evidence = toy(actors=MANY)
    found = standardise_from_enrolment(evidence, 29, 0, known=BOUNDLESS)
    for row in (0, 17, 40):
        others = evidence.actors == evidence.actors[row]
        others[row] = False
        values = evidence.logits[others]
        expected = (evidence.logits[row] - values.mean(axis=0)) / values.std(axis=0, ddof=1)
        np.testing.assert_allclose(found.logits[row], expected)


def test_where_people_do_not_differ_one_clip_changes_nothing_but_units() -> None:
    evidence = toy(actors=MANY)
    same = Populations(
        Population(np.full((2, 6), 2.0), np.zeros((2, 6)), np.full((2, 6), 9.0), np.full((2, 6), np.inf))
    )
    found = standardise_from_enrolment(evidence, 1, 0, known=same)
    np.testing.assert_allclose(found.logits, (evidence.logits - 2) / 3)


def test_a_person_of_one_clip_is_judged_like_anybody() -> None:
    evidence = toy(actors=(0,) * 20 + (1,) * 12 + (2,))
    people = populations(evidence.take(evidence.actors != 2))
    alone = standardise_from_enrolment(evidence, 4, 0, known=people).logits[evidence.actors == 2]
    like_anybody = evidence.logits[evidence.actors == 2] - people.logits.mean
    np.testing.assert_allclose(alone, like_anybody / np.sqrt(people.logits.within))


def test_states_are_normalised_alike() -> None:
    evidence = toy(actors=MANY)
    states = np.repeat(evidence.logits[:, 0], 6, axis=1)
    found = standardise_from_enrolment(replace(evidence, states=states), 3, 0)
    assert found.states is not None
    np.testing.assert_allclose(found.states[:, ::6], found.logits[:, 0])


def test_a_clip_is_standardised_by_so_many_others_of_its_actor() -> None:
    """Changing any clip moves those that are standardised by it: found by trying."""
    evidence = toy(actors=MANY)
    people = populations(evidence)
    before = standardise_from_enrolment(evidence, 8, 3, known=people).logits
    used = np.zeros((len(MANY), len(MANY)), dtype=bool)
    for other in range(len(MANY)):
        logits = evidence.logits.copy()
        logits[other] += 5.0
        used[:, other] = (
            (
                standardise_from_enrolment(replace(evidence, logits=logits), 8, 3, known=people).logits
                != before
            )
            .reshape(len(MANY), -1)
            .any(axis=1)
        )
    np.fill_diagonal(used, False)
    assert (used.sum(axis=1) == 8).all()
    assert (used <= (evidence.actors[:, None] == evidence.actors)).all()


def test_the_draw_follows_the_seed() -> None:
    evidence = toy(actors=MANY)
    first, again, other = (standardise_from_enrolment(evidence, 8, seed).logits for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_below_the_minimum_nothing_is_normalised() -> None:
    evidence = toy(actors=MANY)
    assert standardise_from_enrolment(evidence, 7, 0, minimum=8) is evidence
    assert standardise_from_enrolment(evidence, 8, 0, minimum=8) is not evidence


def test_a_stranger_alone_is_judged_like_anybody_of_those_fitted_on() -> None:
    """As when one clip of an unknown person is predicted: its scores must look like those fitted on."""
    people = populations(toy(actors=MANY))
    stranger = toy(seed=1, actors=(0,))
    found = standardise_from_enrolment(stranger, 1, 0, known=people).logits
    like_anybody = (stranger.logits - people.logits.mean) / np.sqrt(people.logits.within)
    np.testing.assert_allclose(found, like_anybody)
    without = standardise_from_enrolment(toy(actors=(0, 1, 2)), 8, 0).logits
    np.testing.assert_allclose(
        (without.mean(axis=0), without.std(axis=0)), ([[0] * 6] * 2, [[1] * 6] * 2), atol=1e-9
    )


def test_an_actor_with_too_few_clips_is_standardised_like_anybody() -> None:
    evidence = toy(actors=(0,) * 20 + (1,) * 20 + (2,) * 3)
    few, people = evidence.actors == 2, populations(evidence)
    found = standardise_from_enrolment(evidence, 8, 0, known=people, minimum=8).logits[few]
    expected = (evidence.logits[few] - people.logits.mean) / np.sqrt(people.logits.within)
    np.testing.assert_allclose(found, expected)


def test_clips_of_as_few_groups_as_possible() -> None:
    """Eight of twenty clips in groups of five come from two groups."""
    evidence = toy(actors=(0,) * 20)
    groups = [f"set {row % 4}" for row in range(20)]
    before = standardise_from_enrolment(evidence, 8, 0, known=BOUNDLESS, groups=groups).logits
    used: set[str] = set()
    for row in range(20):
        logits = evidence.logits.copy()
        logits[row] += 5.0
        moved = replace(evidence, logits=logits)
        after = standardise_from_enrolment(moved, 8, 0, known=BOUNDLESS, groups=groups).logits
        touched = (after != before).reshape(20, -1).any(axis=1)
        used |= {groups[row]} if touched.sum() > 10 else set()
    assert len(used) == 2


@pytest.mark.parametrize("num_clips", [-1, 0])
def test_no_clip_is_refused(num_clips: int) -> None:
    with pytest.raises(InputError, match=f"^{num_clips} clips to enrol a person from, expected 1 or more"):
        standardise_from_enrolment(toy(), num_clips, 0)
