"""Actor-disjoint folds: made where a corpus publishes none, kept in a file, and read back.

Method: actors are dealt to folds one by one, those with the most clips first, each to the fold where it
leaves the emotion sets most evenly spread; then single actors are moved, and pairs of them exchanged, as long
as that makes the spread more even. Evenness is the sum over emotion sets, and over all clips together, of
(clips of the fold - expected clips)^2 / expected clips. The seed decides the order of actors with equally
many clips. scikit-learn's StratifiedGroupKFold deals in the same way but does not improve afterwards.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blended.data.atomic import replacing
from blended.data.clip import Clip
from blended.data.errors import InputError
from blended.data.labels import set_name
from blended.data.text_table import read_text_table

NUM_FOLDS = 5
SPLITS_NAME = "splits.csv"
COLUMNS = ("id", "actor", "split", "fold")

# Exchanging pairs takes the square of their number; so many single clips even out without it.
MOST_IMPROVED = 200
WORTH = 1e-9


def stratum(clip: Clip) -> str:
    """What folds are balanced over: the emotion set, or the strongest emotion of a soft label."""
    if clip.mixture is not None:
        return set_name(clip.mixture.emotions)
    if clip.soft is not None:
        return clip.soft.emotions[int(np.argmax(clip.soft.values))]
    return "unlabelled"


def strata(clips: Iterable[Clip]) -> Counter[str]:
    """Clips per stratum, of the clips that have a label."""
    return Counter(stratum(clip) for clip in clips if clip.mixture is not None or clip.soft is not None)


def assign_folds(clips: Sequence[Clip], num_folds: int = NUM_FOLDS, seed: int = 0) -> dict[str, int]:
    """Actor to fold, from 0, by the method of this file; the order of the clips does not matter.

    Folds are numbered by their first actor in alphabetical order. Raises InputError for fewer actors than
    folds.
    """
    actors = sorted({clip.actor for clip in clips})
    if num_folds < 2 or len(actors) < num_folds:
        raise InputError(
            f"{num_folds} actor-disjoint folds of {len(actors)} actor(s): expected at least 2 folds and an "
            f"actor for each, so ask for fewer folds"
        )
    counts = _counts(clips, actors)
    fold_of = _dealt(counts, num_folds, np.random.default_rng(seed))
    if len(actors) <= MOST_IMPROVED:
        _improve(counts, fold_of, num_folds)
    number = {fold: place for place, fold in enumerate(dict.fromkeys(fold_of.tolist()))}
    return {actor: number[int(fold)] for actor, fold in zip(actors, fold_of, strict=True)}


def _counts(clips: Sequence[Clip], actors: list[str]) -> NDArray[np.float64]:
    """[actor, stratum + 1]: clips in each stratum, and in all; divided by the root of the expectation."""
    names = sorted({stratum(clip) for clip in clips})
    row, column = {a: k for k, a in enumerate(actors)}, {name: k for k, name in enumerate(names)}
    counts = np.zeros((len(actors), len(names) + 1))
    for clip in clips:
        counts[row[clip.actor], column[stratum(clip)]] += 1
    counts[:, -1] = counts.sum(axis=1)
    return counts / np.sqrt(counts.sum(axis=0))


def _dealt(counts: NDArray[np.float64], num_folds: int, random: np.random.Generator) -> NDArray[np.int64]:
    """[actor] fold, dealt greedily; an empty fold is filled before any gets a second actor."""
    shuffled = random.permutation(len(counts))
    order = shuffled[np.argsort(-counts[shuffled, -1], kind="stable")]
    expected = counts.sum(axis=0) / num_folds
    sums = np.zeros((num_folds, counts.shape[1]))
    fold_of = np.zeros(len(counts), dtype=np.int64)
    for dealt, actor in enumerate(order):
        grown = ((sums + counts[actor] - expected) ** 2).sum(axis=1) - ((sums - expected) ** 2).sum(axis=1)
        if dealt < num_folds:
            grown = np.where(sums[:, -1] > 0, np.inf, grown)
        fold = int(np.argmin(grown))
        fold_of[actor] = fold
        sums[fold] += counts[actor]
    return fold_of


def _improve(counts: NDArray[np.float64], fold_of: NDArray[np.int64], num_folds: int) -> None:
    """Moves and exchanges actors in place, the first that helps each time, until none does."""
    expected = counts.sum(axis=0) / num_folds
    sums = np.stack([counts[fold_of == fold].sum(axis=0) for fold in range(num_folds)]) - expected
    improved = True
    while improved:
        improved = False
        for actor in range(len(counts)):
            source = int(fold_of[actor])
            others = np.flatnonzero(fold_of != source)
            # Exchanges with every actor elsewhere, then moves to every other fold (unless it was the last).
            folds = [f for f in range(num_folds) if f != source and (fold_of == source).sum() > 1]
            shift = np.concatenate([counts[actor] - counts[others], np.tile(counts[actor], (len(folds), 1))])
            target = np.concatenate([fold_of[others], np.array(folds, dtype=np.int64)])
            # |s - d|^2 + |t + d|^2 - |s|^2 - |t|^2 for a shift d from sum s to sum t
            change = 2 * (shift * (sums[target] - sums[source] + shift)).sum(axis=1)
            best = int(np.argmin(change))
            if change[best] < -WORTH:
                fold_of[actor] = target[best]
                if best < len(others):
                    fold_of[others[best]] = source
                sums[source] -= shift[best]
                sums[target[best]] += shift[best]
                improved = True


def with_folds(clips: Iterable[Clip], fold_of: Mapping[str, int]) -> tuple[Clip, ...]:
    """The clips, those of the training partition in the fold of their actor."""
    return tuple(replace(clip, fold=fold_of[clip.actor]) if clip.split == "train" else clip for clip in clips)


def write_splits(clips: Sequence[Clip], path: Path) -> None:
    """A CSV with the columns id, actor, split and fold (empty in the test partition), in the order given."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for clip in clips:
            writer.writerow([clip.id, clip.actor, clip.split, "" if clip.fold is None else clip.fold])


def read_splits(clips: Sequence[Clip], path: Path) -> tuple[Clip, ...]:
    """The clips with the partition and fold that a file says, which is theirs and no other corpus's.

    Raises InputError naming the line for a fold that is no number and a clip named twice, and for clips
    without a row. Rows of clips that are not in the corpus (left out since) are passed over.
    """
    table = read_text_table(path, COLUMNS, "the folds of a corpus")
    placed: dict[str, tuple[str, int | None]] = {}
    for line, row in table.rows:
        fold, split = row["fold"], row["split"]
        if split not in ("train", "test") or (split == "train") != fold.isdigit():
            raise InputError(
                f"{path}, line {line}: split {split!r} with fold {fold!r}; expected train with a fold from "
                f"0, or test without one"
            )
        if row["id"] in placed:
            raise InputError(
                f"{path}, line {line}: clip {row['id']!r} is listed twice; remove one of the rows"
            )
        placed[row["id"]] = (split, int(fold) if fold else None)
    if missing := [clip.id for clip in clips if clip.id not in placed]:
        raise InputError(
            f"{path} has no row for {missing[0]!r} ({len(missing)} clips in all): import the corpus again, "
            f"or delete the file to have folds made anew"
        )
    return tuple(_placed(clip, *placed[clip.id]) for clip in clips)


def _placed(clip: Clip, split: str, fold: int | None) -> Clip:
    return replace(clip, split="train" if split == "train" else "test", fold=fold)
