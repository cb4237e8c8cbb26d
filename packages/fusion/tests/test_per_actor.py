"""Features standardised per person: many clips by themselves, few held against everybody, none refused."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from blended.data import InputError
from blended.data.people import ENOUGH_FOR_FEATURES
from blended.fusion.preprocessing import standardise_per_actor

MANY = [*["a"] * 20, *["b"] * 30, *["c"] * 8]


def toy(actors: Sequence[str], seed: int = 0) -> np.ndarray:
    """Feature 0 tells who is seen, feature 1 does not, feature 2 never varies."""
    rng = np.random.default_rng(seed)
    habits = {name: rng.normal(scale=5) for name in sorted({*actors})}
    x = rng.normal(size=(len(actors), 3))
    x[:, 0] += [habits[actor] for actor in actors]
    x[:, 2] = 7.0
    return x.astype(np.float32)


def by_loops(clips: Sequence[np.ndarray], actors: Sequence[str], row: int) -> np.ndarray:
    """Steps of a clip of a person with few, standardised: moments of clips' means, feature by feature."""
    found = np.empty_like(clips[row], dtype=np.float64)
    people = sorted({*actors})
    for feature in range(clips[row].shape[1]):
        means = np.array([clip[:, feature].astype(np.float64).mean() for clip in clips])
        of = {name: means[[actor == name for actor in actors]] for name in people}
        counts = np.array([len(of[name]) for name in people])
        squares = sum(((of[name] - of[name].mean()) ** 2).sum() for name in people)
        within = squares / (len(clips) - len(people))
        spread = sum(len(of[name]) * (of[name].mean() - means.mean()) ** 2 for name in people)
        typical = (len(clips) - (counts**2).sum() / len(clips)) / (len(people) - 1)
        between = max((spread / (len(people) - 1) - within) / typical, 0)
        own = of[actors[row]]
        weight = len(own) * between / (len(own) * between + within) if within else 1.0
        mean = means.mean() + weight * (own.mean() - means.mean())
        steps = np.mean([clip[:, feature].astype(np.float64).var() for clip in clips])
        scale = np.sqrt(within + steps)
        found[:, feature] = (clips[row][:, feature] - mean) / (scale if scale > 1e-6 else 1.0)
    return found


@pytest.mark.parametrize("count", [1, 2, ENOUGH_FOR_FEATURES])
def test_few_clips_of_a_person_are_held_against_everybody(count: int) -> None:
    """And nobody else's numbers move by a bit."""
    actors = [*MANY, *["d"] * count]
    x = toy(actors)
    found = standardise_per_actor(torch.from_numpy(x), actors)
    for row in range(len(MANY), len(actors)):
        expected = by_loops([one[None] for one in x], actors, row)
        np.testing.assert_allclose(found[row], expected[0], atol=1e-5)
    alone = standardise_per_actor(torch.from_numpy(x[: len(MANY)]), MANY)
    assert torch.equal(found[: len(MANY)], alone)
    few = found[len(MANY) :]
    assert len(few[:, 1].unique()) == count and (few[:, :2] != 0).all() and (few[:, 2] == 0).all()


def test_steps_of_few_clips_are_held_against_everybody() -> None:
    """A clip of many steps is one clip: its own mean is no person's."""
    actors = [*MANY, "d", "", ""]
    rng = np.random.default_rng(1)
    per_clip = toy(actors)
    clips = [x + rng.normal(size=(rng.integers(1, 6), 3)).astype(np.float32) for x in per_clip]
    clips[3] = np.zeros((0, 3), np.float32)
    clip_of_row = torch.from_numpy(np.repeat(np.arange(len(clips)), [len(clip) for clip in clips]))
    found = standardise_per_actor(torch.from_numpy(np.concatenate(clips)), actors, clip_of_row)
    kept = [clip for clip in clips if len(clip)]
    named = [actor or f"unnamed {place}" for place, actor in enumerate(actors) if len(clips[place])]
    for row in (-1, -2, -3):
        ours = found[clip_of_row == len(actors) + row]
        np.testing.assert_allclose(ours, by_loops(kept, named, len(kept) + row), atol=1e-5)
    rows = torch.isin(clip_of_row, torch.tensor([n for n, actor in enumerate(actors) if actor == "b"]))
    np.testing.assert_allclose(found[rows].mean(dim=0), 0, atol=1e-5)
    np.testing.assert_allclose(found[rows].std(dim=0, correction=0), 1, atol=1e-5)


def test_a_lone_clip_keeps_what_does_not_tell_who_is_seen() -> None:
    """It loses the feature that people differ in, and keeps the other nearly whole."""
    actors = [*MANY, *(str(number) for number in range(40))]
    x = toy(actors)
    found = standardise_per_actor(torch.from_numpy(x), actors)[len(MANY) :]
    assert float(found[:, 0].std()) < 0.35 and 0.7 < float(found[:, 1].std()) < 1.2
    assert np.corrcoef(found[:, 1], x[len(MANY) :, 1])[0, 1] > 0.999


def test_one_person_of_enough_clips_needs_nobody_else() -> None:
    """As in enrolment: they are compared with each other."""
    x = torch.from_numpy(toy(["a"] * 8))
    found = standardise_per_actor(x, ["person"] * 8)
    expected = (x - x.mean(dim=0)) / x.std(dim=0, correction=0).clamp(min=1e-6)
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=1e-5)


@pytest.mark.parametrize(
    ("actors", "words"),
    [
        ([""] * 30, "30 clips are of 30 people: none beside the first of each, expected 7 or more"),
        ([str(number) for number in range(30)], "30 people: none beside the first"),
        (["a"], "1 clips are of 1 people: none"),
        (["a", "a", "b", "b", ""], "5 clips are of 3 people: 2 beside"),
    ],
)
def test_where_nobody_is_seen_twice_it_is_refused(actors: list[str], words: str) -> None:
    with pytest.raises(InputError, match=f"standardise: actor compares .*{words}.*`actor: null`"):
        standardise_per_actor(torch.from_numpy(toy(actors)), actors)
