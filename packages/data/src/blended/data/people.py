"""Who is seen in which clips: nobody is judged by a model that has seen them, and what few clips tell.

What compares the clips of one person with each other needs enough of them: a person of one clip is its own
mean and has no spread. Of people with few clips there is what is known of everybody, and where nobody is seen
twice there is nothing to compare. No label is looked at here.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError


def forbid_shared_actors(actors: Sequence[str], parts: Sequence[Hashable]) -> None:
    """Raises InputError if an actor's clips lie in more than one part.

    `actors` and `parts` have one entry per clip; a part is a fold number, or whatever else tells what is
    trained on from what is judged (`"train"` and `"test"`). Every reader and every trainer calls this: a
    model that has seen an actor of the fold it is judged on reports how well it remembers people. Clips
    without an actor, of a held-out partition whose people are not named, are not compared.

    The one allowed look across parts is standardising each actor's features over that actor's own clips
    without their labels.

    >>> forbid_shared_actors(["A1", "A1", "A2"], [0, 0, 1])
    """
    if len(actors) != len(parts):
        raise InputError(f"{len(actors)} actors but {len(parts)} parts: expected one of each for every clip")
    part_of: dict[str, Hashable] = {}
    for actor, part in zip(actors, parts, strict=True):
        if actor and part_of.setdefault(actor, part) != part:
            raise InputError(
                f"actor {actor!r} is in folds {part_of[actor]} and {part}: a model would be judged on an "
                f"actor that it was trained on; make the folds actor-disjoint"
            )


ENOUGH_FOR_SCORES = 16
"""Other clips of a person from which the mean and spread of scores are that person's. On two real outputs for
BLEMORE, own statistics alone lost to none with 2 or 4 clips, and from 12 on they were as good as weighed ones
(LOG.md, "Enrolment clips"); nobody in BLEMORE has fewer than 25."""

ENOUGH_FOR_FEATURES = 7
"""Other clips likewise for features; whoever enrols for a run of such features gives one more (8)."""

MIN_REPEATS = 7
"""Clips, of all people together, beside the first of each: with fewer it cannot be told what varies between
the clips of a person from what differs between people."""


def numbered(actors: Sequence[str]) -> NDArray[np.int64]:
    """[clip] a number per person, names in alphabetical order; an unnamed clip is of somebody else each time.

    >>> numbered(["b", "", "a", "b", ""]).tolist()
    [1, 2, 0, 1, 3]
    """
    names, numbers = np.unique(np.asarray(actors, dtype=str), return_inverse=True)
    unnamed = np.asarray(actors, dtype=str) == ""
    if unnamed.any():
        numbers = np.where(unnamed, len(names) - 1, numbers - 1)
        numbers[unnamed] += np.arange(unnamed.sum())
    return numbers.astype(np.int64)


def of_few_clips(people: NDArray[np.int64], enough: int) -> NDArray[np.bool_]:
    """[clip]: whether the person, given by number, is seen in fewer than `enough` other clips."""
    _, numbers, counts = np.unique(people, return_inverse=True, return_counts=True)
    return counts[numbers] - 1 < enough


def check_repeated(people: NDArray[np.int64], setting: str) -> None:
    """Raises InputError where too few clips are of somebody seen in another: see MIN_REPEATS.

    `setting` is what compares a person's clips, such as `standardise: actor`.
    """
    num_people = len(np.unique(people))
    if (repeats := len(people) - num_people) < MIN_REPEATS:
        raise InputError(
            f"{setting} compares the clips of one person with each other, but {len(people)} clips are of "
            f"{num_people} people: {repeats or 'none'} beside the first of each, expected {MIN_REPEATS} or "
            f"more. Name who is seen in which clip (a card with `actor: null` names nobody), or leave "
            f"{setting} out"
        )


def few_words(people: NDArray[np.int64], enough: int) -> str:
    """How many people are seen in few clips, and what becomes of them; empty where there are none.

    >>> few_words(np.array([0] * 20 + [1, 1, 2]), 16).split(": ")[0]
    '2 of 3 people (3 of 23 clips) are seen in fewer than 16 other clips'
    """
    few = of_few_clips(people, enough)
    if not few.any():
        return ""
    return (
        f"{len(np.unique(people[few]))} of {len(np.unique(people))} people ({int(few.sum())} of {len(few)} "
        f"clips) are seen in fewer than {enough} other clips: these are weighed with what is known of "
        f"everybody"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Components of variance: how numbers of clips differ between people, and between a person's clips.

    One-way random effects of groups of unequal size, by moments (Searle, Casella and McCulloch, "Variance
    Components", 1992, section 3.6: analysis of variance estimators).
    """

    mean: NDArray[np.float64]
    """[*number], over clips."""
    between: NDArray[np.float64]
    """[*number] variance of people's means, 0 or more; 0 also where only one person is known."""
    within: NDArray[np.float64]
    """[*number] variance over the clips of one person, 0 or more; of all clips where everybody has one."""
    squares: NDArray[np.float64]
    """[person, *number]: sums of squared deviations from the person's mean."""
    counts: NDArray[np.int64]
    """[person]: clips, 1 or more; people in the order of their numbers."""


ROUNDING = 1e-9
"""A variance below the square of this share of the values' size is rounding."""


def components(values: NDArray[np.float64], people: NDArray[np.int64]) -> Components:
    """Of [clip, *number] values; `people` says who is seen in each."""
    groups = [values[people == person] for person in np.unique(people)]
    counts = np.array([len(group) for group in groups])
    of_people = counts.reshape(-1, *(1,) * (values.ndim - 1)).astype(np.float64)
    mean = values.mean(axis=0)
    squares = np.stack([((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in groups])
    within = squares.sum(axis=0) / max(len(values) - len(groups), 1)
    if len(values) == len(groups):
        # One clip of everybody: people cannot be told from their clips, so all that varies counts as clips.
        within = values.var(axis=0)
    within = np.where(within > (ROUNDING * np.abs(values).max(axis=0)) ** 2, within, 0.0)
    between = np.zeros_like(mean)
    if len(groups) > 1:
        means = np.stack([group.mean(axis=0) for group in groups])
        spread = (of_people * (means - mean) ** 2).sum(axis=0) / (len(groups) - 1)
        typical = (len(values) - (counts**2).sum() / len(values)) / (len(groups) - 1)
        between = np.maximum((spread - within) / typical, 0.0)
    return Components(mean, between, within, squares, counts)


def believed(
    num_clips: int, between: NDArray[np.float64], within: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[*number], 0 to 1: how far the mean of so many clips of a person is believed against everybody's.

    The best linear prediction; 1 where nobody's clips differ, for then one of them says all.
    """
    total = num_clips * between + within
    return np.where(total > 0, num_clips * between / np.where(total > 0, total, 1.0), 1.0)
