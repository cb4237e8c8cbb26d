"""Who performs what: every clip of the corpus with its name and label, before anything is rendered.

The labels on disk have the columns of BLEMORE.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from blended.data.demo.config import DemoConfig
from blended.data.demo.signatures import EMOTIONS, label_space
from blended.data.labels import Mixture

NUM_LEVELS = 4
"""Intensity levels of a single emotion, situations of neutral."""

# Streams of random numbers; a new use takes a new number so that the others stay as they are.
ACTOR_STREAM, PERFORMANCE_STREAM, PICTURE_STREAM, SOUND_STREAM, CAST_STREAM = range(5)


COLUMNS = (
    "filename",
    "video_id",
    "mix",
    "emotion_1",
    "emotion_2",
    "emotion_1_salience",
    "emotion_2_salience",
    "version",
    "situation",
    "intensity_level",
    "fold",
)


@dataclass(frozen=True, slots=True)
class Take:
    """One clip to be performed."""

    stem: str
    """File name without suffix, unique in the corpus."""
    split: str
    """`train` or `test`."""
    actor: str
    """Name of the actor, `A` and three digits."""
    actor_index: int
    """Position among all actors, training actors first."""
    number: int
    """Position among the 54 clips of a complete actor."""
    mixture: Mixture
    """The label."""
    level: int
    """Intensity level (single emotions) or situation (neutral) from 1 to 4; 0 for blends."""
    fold: int | None
    """Validation fold; None in the test partition."""

    @property
    def path(self) -> str:
        """The media file, relative to the folder of the corpus."""
        return f"{self.split}/{self.stem}.mp4"


def random(config: DemoConfig, stream: int, *position: int) -> np.random.Generator:
    """A generator of its own for every purpose and position, whatever has been drawn elsewhere."""
    return np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(stream, *position)))


def actor_names(config: DemoConfig) -> list[str]:
    """`A101` and on for the training partition, `A201` and on for the test partition."""
    train = [f"A{101 + index}" for index in range(config.num_train_actors)]
    return train + [f"A{201 + index}" for index in range(config.num_test_actors)]


def takes(config: DemoConfig) -> list[Take]:
    """All clips: the training partition by actor, then the test partition in an order that tells nothing."""
    names = actor_names(config)
    folds = _folds(config)
    train = [take for index in range(config.num_train_actors) for take in _of(config, names, index, folds)]
    held_out = [
        take for index in range(config.num_train_actors, len(names)) for take in _of(config, names, index, {})
    ]
    order = random(config, CAST_STREAM, 1).permutation(len(held_out))
    return train + [
        replace(held_out[position], stem=f"test_{number:04d}") for number, position in enumerate(order, 1)
    ]


def _folds(config: DemoConfig) -> dict[int, int]:
    """Actor index -> fold, as even as can be."""
    order = random(config, CAST_STREAM, 0).permutation(config.num_train_actors)
    return {int(actor): position % config.num_folds for position, actor in enumerate(order)}


def _of(config: DemoConfig, names: list[str], index: int, folds: dict[int, int]) -> list[Take]:
    name, fold = names[index], folds.get(index)
    split = "train" if index < config.num_train_actors else "test"
    return [
        Take(_stem(name, mixture, level), split, name, index, number, mixture, level, fold)
        for number, mixture, level in _repertoire(config, index)
    ]


def _repertoire(config: DemoConfig, actor_index: int) -> list[tuple[int, Mixture, int]]:
    """(number, label, level) of the clips of one actor: all 54, or a part that has every emotion set."""
    complete = [
        (mixture, level)
        for mixture in label_space().states
        for level in ((0,) if mixture.is_blend else range(1, NUM_LEVELS + 1))
    ]
    variants: dict[frozenset[str], list[int]] = {}
    for number, (mixture, _) in enumerate(complete):
        variants.setdefault(mixture.emotions, []).append(number)
    # Actors start at different variants, so that a part of the clips still shows all levels and shares.
    rounds = [
        numbers[(actor_index + position + turn) % len(numbers)]
        for turn in range(NUM_LEVELS)
        for position, numbers in enumerate(variants.values())
        if turn < len(numbers)
    ]
    chosen = sorted(rounds[: config.clips_per_actor])
    return [(number, *complete[number]) for number in chosen]


def _stem(actor: str, mixture: Mixture, level: int) -> str:
    if mixture.is_blend:
        (first, p), (second, q) = ordered(mixture)
        return f"{actor}_mix_{first}_{second}_{p:.0f}_{q:.0f}_ver1"
    emotion = next(iter(mixture.emotions))
    return f"{actor}_{emotion}_{'sit' if emotion == 'neu' else 'int'}{level}_ver1"


def ordered(mixture: Mixture) -> list[tuple[str, float]]:
    """(emotion, share) in the order of the label space."""
    return sorted(mixture.shares, key=lambda share: EMOTIONS.index(share[0]))


def table(takes: Iterable[Take]) -> str:
    """The takes as CSV, in the given order."""
    text = io.StringIO()
    writer: csv.DictWriter[str] = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(take) for take in takes)
    return text.getvalue()


def actor_table(takes: Iterable[Take]) -> str:
    """Who is seen in each take, without what is acted: an identity is no label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("filename", "video_id"))
    writer.writerows((take.stem, take.actor) for take in takes)
    return text.getvalue()


def _row(take: Take) -> dict[str, object]:
    row: dict[str, object] = {
        "filename": take.stem,
        "video_id": take.actor,
        "mix": int(take.mixture.is_blend),
        "version": 1,
        "fold": "" if take.fold is None else take.fold,
    }
    shares = ordered(take.mixture)
    row["emotion_1"] = shares[0][0]
    if take.mixture.is_blend:
        row["emotion_2"] = shares[1][0]
        row["emotion_1_salience"], row["emotion_2_salience"] = (round(share) for _, share in shares)
    elif shares[0][0] == "neu":
        row["situation"] = take.level
    else:
        row["intensity_level"] = take.level
    return row
