"""Whether 95 % intervals hold the true value in 95 of 100 cases, and how often equal systems are told apart.

    python benchmarks/intervals.py [--samples 2000] [--seed 0]

People are drawn anew for every sample: each has their own difficulty, shared by two systems, something of
their own with each system, and 5 to 60 clips; clips have a difficulty that both systems share. The true value
is that of all people, so it is known. Both systems are equally good. Beside the intervals of
`blended.eval.intervals`: percentiles of actors resampled within folds. 2,000 samples: 4 minutes on one core.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from blended.data import Mixture
from blended.data.labels import Task
from blended.eval.measures import spread_of
from blended.eval.measures.agreement import concordance, pearson
from blended.eval.tasks import TASKS

LAYOUTS = {
    "47 actors in 5 folds": (10, 10, 9, 9, 9),
    "20 actors in 5 folds": (4,) * 5,
    "12 actors, left out one by one": (1,) * 12,
    "6 actors, left out one by one": (1,) * 6,
    "12 actors, one held-out part": (12,),
}
EMOTIONS = ("ang", "disg", "fea", "hap", "sad", "neu")
SINGLES = [Mixture.single(emotion) for emotion in EMOTIONS]
BLEND, OTHER_SHARES = Mixture({"ang": 50, "hap": 50}), Mixture({"ang": 70, "hap": 30})
NORMAL, _DENSITY = np.polynomial.hermite_e.hermegauss(61)
WEIGHTS = _DENSITY / _DENSITY.sum()
PERSON, WITH_SYSTEM, CLIP = 0.8, 0.4, 1.0
"""Standard deviations, on the logistic scale."""
NUM_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Sample:
    """People, and what two equally good systems make of their clips."""

    truth: Any
    decided: tuple[Any, Any]
    actors: ndarray
    folds: ndarray
    expected: ndarray | None
    """[measure]: the true values; None where they are the mean of many samples."""


def people(rng: np.random.Generator, layout: tuple[int, ...]) -> tuple[ndarray, ndarray]:
    """A number per clip, and the fold of every actor."""
    folds = np.repeat(np.arange(len(layout)), layout)
    clips = np.minimum(4 + rng.geometric(1 / 14, size=len(folds)), 60)
    return np.repeat(np.arange(len(folds)), clips), folds


def logistic(values: ndarray) -> ndarray:
    """From the logistic scale to chances."""
    return 1 / (1 + np.exp(-values))


def mixture_sample(rng: np.random.Generator, layout: tuple[int, ...], ease: float, shares: float) -> Sample:
    """Half of the clips are blends; who is easily read is so in shares too."""
    actors, folds = people(rng, layout)
    person, clip = rng.normal(0, PERSON, len(folds)), rng.normal(0, CLIP, len(actors))
    blend = rng.random(len(actors)) < 0.5
    decided: list[list[Mixture]] = []
    for _ in range(2):
        own = rng.normal(0, WITH_SYSTEM, len(folds))
        found = rng.random(len(actors)) < logistic(ease + (person + own)[actors] + clip)
        right = rng.random(len(actors)) < logistic(shares + 0.5 * person[actors])
        decided.append(
            [
                SINGLES[4] if not f else SINGLES[0] if not b else BLEND if r else OTHER_SHARES
                for f, b, r in zip(found.tolist(), blend.tolist(), right.tolist(), strict=True)
            ]
        )
    truth = [BLEND if b else SINGLES[0] for b in blend.tolist()]
    spread = np.hypot(WITH_SYSTEM, CLIP)
    chance = logistic(ease + PERSON * NORMAL[:, None] + spread * NORMAL) @ WEIGHTS
    presence, salience = chance @ WEIGHTS, (chance * logistic(shares + 0.5 * PERSON * NORMAL)) @ WEIGHTS
    expected = np.array([presence, salience, (presence + salience) / 2])
    return Sample(truth, (decided[0], decided[1]), actors, folds[actors], expected)


def single_sample(rng: np.random.Generator, layout: tuple[int, ...]) -> Sample:
    """Emotions are unlike in difficulty, people in each of them, and three of ten people lack an emotion."""
    folds = np.repeat(np.arange(len(layout)), layout)
    num_people, num_emotions = len(folds), len(EMOTIONS)
    shown = rng.random((num_people, num_emotions)) < 0.7
    shown[np.arange(num_people), rng.integers(0, num_emotions, num_people)] = True
    counts = np.where(shown, 1 + rng.geometric(1 / 3, size=shown.shape), 0)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    actors, emotions = cells // num_emotions, cells % num_emotions
    ease = np.linspace(-0.8, 0.8, num_emotions)
    person, face = rng.normal(0, PERSON, num_people), rng.normal(0, 0.5, shown.shape)
    clip = rng.normal(0, CLIP, len(cells))
    decided: list[list[Mixture]] = []
    for _ in range(2):
        own = rng.normal(0, WITH_SYSTEM, num_people)
        at = ease[emotions] + (person + own)[actors] + face[actors, emotions] + clip
        right = rng.random(len(cells)) < logistic(at)
        said = np.where(right, emotions, (emotions + 1) % num_emotions)
        decided.append([SINGLES[number] for number in said.tolist()])
    spread = np.sqrt(PERSON**2 + WITH_SYSTEM**2 + 0.5**2 + CLIP**2)
    recall = logistic(ease[:, None] + spread * NORMAL) @ WEIGHTS
    clips = np.stack([counts[folds == fold].sum(axis=0) for fold in range(len(layout))])
    unweighted = np.mean([recall[row > 0].mean() for row in clips])
    expected = np.array([unweighted, np.mean(clips @ recall / clips.sum(axis=1))])
    truth = [SINGLES[number] for number in emotions.tolist()]
    return Sample(truth, (decided[0], decided[1]), actors, folds[actors], expected)


def intensity_sample(rng: np.random.Generator, layout: tuple[int, ...], num_emotions: int = 3) -> Sample:
    """People differ in what they feel, and in how strongly and from where a system reads it."""
    actors, folds = people(rng, layout)
    shape, clips = (len(folds), num_emotions), (len(actors), num_emotions)
    truth = logistic(rng.normal(0, 0.6, shape)[actors] + rng.normal(0, 1, clips))
    slope, level, noise = rng.normal(0.4, 0.2, shape), rng.normal(0, 0.15, shape), rng.normal(0, 0.1, clips)
    decided: list[ndarray] = []
    for _ in range(2):
        own_slope, own_level = slope + rng.normal(0, 0.1, shape), level + rng.normal(0, 0.07, shape)
        read = 0.3 + own_slope[actors] * truth + own_level[actors] + noise + rng.normal(0, 0.1, clips)
        decided.append(read)
    return Sample(truth, (decided[0], decided[1]), actors, folds[actors], None)


Draw = Callable[[np.random.Generator, tuple[int, ...]], Sample]
KINDS: dict[str, tuple[Task, Draw]] = {
    "blends": ("mixture", lambda rng, layout: mixture_sample(rng, layout, 0.0, -0.5)),
    "blends, hard": ("mixture", lambda rng, layout: mixture_sample(rng, layout, -1.0, -1.5)),
    "single labels": ("single", single_sample),
    "intensities": ("intensities", intensity_sample),
}


def percentiles(task: Task, sample: Sample, rng: np.random.Generator) -> tuple[ndarray, ndarray]:
    """As before: [resample, measure] of both systems, the same actors drawn within folds for both."""
    systems = [_terms(task, sample.truth, decided) for decided in sample.decided]
    found: list[list[ndarray]] = [[], []]
    for fold in np.unique(sample.folds):
        rows = sample.folds == fold
        names, who = np.unique(sample.actors[rows], return_inverse=True)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), NUM_RESAMPLES).astype(float)
        for number, terms in enumerate(systems):
            sums = np.zeros((len(names), *terms.shape[1:]))
            np.add.at(sums, who, terms[rows])
            found[number].append(_measures(task, np.tensordot(drawn, sums, axes=1)))
    return np.mean(found[0], axis=0), np.mean(found[1], axis=0)


def _terms(task: Task, truth: Any, decided: Any) -> ndarray:
    """What is summed over clips."""
    if task == "intensities":
        return np.stack([np.ones_like(truth), decided, truth, decided**2, truth**2, decided * truth], axis=-1)
    right = np.array([t == d for t, d in zip(truth, decided, strict=True)], dtype=float)
    if task == "single":
        shown = np.eye(len(EMOTIONS))[[SINGLES.index(one) for one in truth]]
        return np.stack([shown * right[:, None], shown], axis=-1)
    blend = np.array([one.is_blend for one in truth], dtype=float)
    found = np.array([t.emotions == d.emotions for t, d in zip(truth, decided, strict=True)], dtype=float)
    counted = np.stack([np.ones_like(blend), blend], axis=-1)
    return np.stack([np.stack([found, right * blend], axis=-1), counted], axis=-1)


def _measures(task: Task, sums: ndarray) -> ndarray:
    """Of every resample of a fold."""
    if task == "intensities":
        count, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
        p, t = p / count, t / count
        var_p, var_t, cov = pp / count - p * p, tt / count - t * t, pt / count - p * t
        agreement = cov / np.sqrt(var_p * var_t), 2 * cov / (var_p + var_t + (p - t) ** 2)
        return np.stack([one.mean(axis=-1) for one in agreement], axis=-1)
    right, count = sums[..., 0], sums[..., 1]
    share = np.divide(right, count, out=np.zeros_like(right), where=count > 0)
    if task == "single":
        unweighted = share.sum(axis=-1) / (count > 0).sum(axis=-1)
        return np.stack([unweighted, right.sum(axis=-1) / count.sum(axis=-1)], axis=-1)
    return np.concatenate([share, share.mean(axis=-1, keepdims=True)], axis=-1)


def expected_agreement(rng: np.random.Generator, layout: tuple[int, ...], samples: int) -> ndarray:
    """Mean Pearson and concordance of folds of this size, over many samples."""
    values: list[list[float]] = []
    for one in (intensity_sample(rng, layout) for _ in range(samples)):
        folds = [
            (one.decided[0][rows], one.truth[rows]) for rows in (one.folds == f for f in np.unique(one.folds))
        ]
        values.append(
            [float(np.mean([measure(*fold).mean() for fold in folds])) for measure in (pearson, concordance)]
        )
    return np.mean(values, axis=0)


def tally(kind: str, layout: tuple[int, ...], samples: int, seed: int) -> ndarray:
    """[measure, (held before, held, too low, too high, apart before, apart)], in percent."""
    task, draw = KINDS[kind]
    rng = np.random.default_rng((seed, len(layout), sum(layout)))
    known = expected_agreement(rng, layout, 2 * samples) if task == "intensities" else None
    counts = np.zeros((len(TASKS[task].measures), 6))
    for _ in range(samples):
        sample = draw(rng, layout)
        expected = known if sample.expected is None else sample.expected
        where = (sample.actors, sample.folds)
        measures = TASKS[task].measures
        first, second = (spread_of(measures, sample.truth, one, *where) for one in sample.decided)
        low, high = np.array([one.span for one in first.estimates]).T
        apart = np.array(first.minus(second).p_values) < 0.05
        before, other = percentiles(task, sample, rng)
        old_low, old_high = np.percentile(before, [2.5, 97.5], axis=0)
        gaps = (before - other).round(12)
        either = np.minimum((gaps <= 0).sum(axis=0), (gaps >= 0).sum(axis=0))
        old_apart = 2 * (1 + either) / (1 + NUM_RESAMPLES) < 0.05
        held, old_held = (
            (low <= expected) & (expected <= high),
            (old_low <= expected) & (expected <= old_high),
        )
        counts += np.stack([old_held, held, high < expected, low > expected, old_apart, apart], axis=1)
    return 100 * counts / samples


def main(samples: int, seed: int) -> None:
    """Prints the table."""
    print(f"{samples:,} samples a row; wanted: 95 % held, 5 % told apart\n")
    print("| actors | labels | measure | held before | held | too low, too high | apart before | apart |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for name, layout in LAYOUTS.items():
        for kind, (task, _) in KINDS.items():
            for measure, row in zip(TASKS[task].measures, tally(kind, layout, samples, seed), strict=True):
                before, held, low, high, old_apart, apart = (f"{value:.1f}" for value in row)
                cells = (name, kind, measure.words, before, held, f"{low}, {high}", old_apart, apart)
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    main(asked.samples, asked.seed)
