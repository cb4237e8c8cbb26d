"""Scores that decisions are fitted on strictly: for the decision of fold k, by models that saw no label of
it.

Out-of-fold scores of another fold j are of models that did train on k, so that what is fitted on them has
heard of k's labels. Here the scores of j are of a *pair* {k, j}: a model trained without either, for the
epochs and at the learning rate that k's own inner fold chose. Pairs of a fold and its inner fold are
probes, which say after every epoch what they think of the reported fold; the others are trained when the
choices are known.

More than `MOST_FOLDS` folds have too many pairs. They are dealt out to as many groups, and a pair is one of
groups: models see neither the group of k nor that of j, which is as strict and costs no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Int

from blended.fusion.plan import Job
from blended.fusion.training import Trained

MOST_FOLDS = 9
"""Groups that more folds are dealt out to: at most 36 pairs, and nine models that see all groups but one."""

Nesting = Literal["strict", "plain"]
"""Whether the decision of a fold is fitted on scores of models that saw none of its labels."""
Pair = tuple[int, ...]
"""Numbers of one or two groups, the smaller first."""
Predicted = dict[str, np.ndarray]
"""`emotions` [clip, emotion], and `states` and `gates` where the network has them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the inner fold of a reported fold chose."""

    epochs: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A model of a pair that is trained for decisions."""

    pair: Pair
    learning_rate: float
    epochs: tuple[int, ...]
    """After which its predictions are wanted, the smallest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Which models the decisions of all folds need."""

    clip_folds: Int[np.ndarray, "train"]
    folds: Sequence[int]
    choices: Mapping[int, Choice]
    known: Mapping[tuple[int, int], Predicted] = field(default_factory=dict)
    """(fold that is decided, fold that is predicted) -> what probes said of it already."""

    @property
    def groups(self) -> list[list[int]]:
        """Folds that are left out together."""
        return groups_of(self.folds)

    @property
    def asked(self) -> list[Asked]:
        """Models that are still to be trained."""
        wanted: dict[tuple[Pair, float], set[int]] = {}
        for fold in self.folds:
            choice = self.choices[fold]
            for other in self.folds:
                if other != fold and (fold, other) not in self.known:
                    wanted.setdefault((self._pair(fold, other), choice.learning_rate), set()).add(
                        choice.epochs
                    )
        return [Asked(*key, tuple(sorted(epochs))) for key, epochs in sorted(wanted.items())]

    def jobs(self, asked: Sequence[Asked], seeds: Mapping[int, Sequence[int]]) -> list[Job]:
        """One by one, repeat by repeat; `seeds` are those of a fold's models."""
        jobs: list[Job] = []
        for one in asked:
            out = self._rows(one.pair)
            first = self.groups[_first(one.pair, len(self.groups))][0]
            jobs += [
                Job(
                    np.setdiff1d(np.arange(len(self.clip_folds)), out),
                    one.epochs[-1],
                    seed,
                    one.learning_rate,
                    recorded=out,
                    recorded_epochs=one.epochs,
                )
                for seed in seeds[first]
            ]
        return jobs

    def scores(self, out_of_fold: Predicted, asked: Sequence[Asked], trained: Trained | None) -> Predicted:
        """[fold, train, column]: for every reported fold what its decision is fitted on, and its own clips as
        they are reported."""
        said: dict[tuple[Pair, float, int], Predicted] = {}
        for number, one in enumerate(asked):
            assert trained is not None
            repeats = trained.num_models // len(asked)
            places = range(number * repeats, (number + 1) * repeats)
            for turn, epoch in enumerate(one.epochs):
                said[one.pair, one.learning_rate, epoch] = mean_recorded(trained, places, turn)
        kinds = [kind for kind in out_of_fold if kind != "gates"]
        found = {kind: np.stack([out_of_fold[kind]] * len(self.folds)) for kind in kinds}
        for number, fold in enumerate(self.folds):
            for other in self.folds:
                if other == fold:
                    continue
                rows = np.flatnonzero(self.clip_folds == other)
                of_other = self.known.get((fold, other)) or self._of(said, fold, rows)
                for kind in kinds:
                    found[kind][number, rows] = of_other[kind]
        return found

    def _of(
        self, said: Mapping[tuple[Pair, float, int], Predicted], fold: int, rows: Int[np.ndarray, "_"]
    ) -> Predicted:
        pair, choice = self._pair(fold, int(self.clip_folds[rows[0]])), self.choices[fold]
        places = np.searchsorted(self._rows(pair), rows)
        of_pair = said[pair, choice.learning_rate, choice.epochs]
        return {kind: values[places] for kind, values in of_pair.items()}

    def _pair(self, fold: int, other: int) -> Pair:
        return tuple(sorted({self._group(fold), self._group(other)}))

    def _group(self, fold: int) -> int:
        return next(number for number, group in enumerate(self.groups) if fold in group)

    def _rows(self, pair: Pair) -> Int[np.ndarray, "_"]:
        """Clips that a pair does not see, in their order."""
        folds = [fold for number in pair for fold in self.groups[number]]
        return np.flatnonzero(np.isin(self.clip_folds, folds))


def groups_of(folds: Sequence[int]) -> list[list[int]]:
    """Every fold by itself or, of too many, dealt out in turn."""
    if len(folds) <= MOST_FOLDS + 1:
        return [[fold] for fold in folds]
    return [list(folds[first::MOST_FOLDS]) for first in range(MOST_FOLDS)]


def num_models(folds: Sequence[int]) -> int:
    """Models of pairs for one learning rate and seed, those that probes stand in for not counted."""
    groups = groups_of(folds)
    pairs = len(list(combinations(groups, 2))) + sum(len(group) > 1 for group in groups)
    return pairs - len(folds) if len(groups) == len(folds) else pairs


def mean_recorded(trained: Trained, places: Sequence[int], turn: int) -> Predicted:
    """What some models said at one of their recorded epochs, on average; NaN where one did not get there."""
    kinds = trained.recorded[places[0]]
    return {
        kind: np.mean([trained.recorded[place][kind][turn].astype(np.float64) for place in places], axis=0)
        for kind in kinds
    }


def _first(pair: Pair, num_groups: int) -> int:
    """The group of a pair from which the other is nearer, going round: a fold comes before its inner fold."""
    first, last = pair[0], pair[-1]
    return first if last - first <= num_groups - (last - first) else last
