"""Where decisions are right, and what probabilities are worth, beside the headline.

Pure functions of true and predicted mixtures, and all of them taken together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from blended.data import InputError, LabelSpace, Mixture
from blended.data.labels import set_name
from blended.eval.measures.agreement import classwise_error, confidence, earth_movers_distance, mean_pearson
from blended.eval.measures.blends import Correctness, correctness


@dataclass(frozen=True, slots=True)
class EmotionScores:
    """How well one emotion's presence is found."""

    precision: float | None
    """Share of the clips said to have it that have it, in [0, 1]; None where it is never said."""
    recall: float | None
    """Share of the clips that have it that are said to, in [0, 1]; None where no clip has it."""
    f1: float | None
    """Harmonic mean of the two, in [0, 1]; None where no clip has it and it is never said."""
    clips: int
    """Clips that have it."""


@dataclass(frozen=True, slots=True)
class GroupScores:
    """The official accuracies over some clips."""

    clips: int
    blends: int
    presence: float
    """In [0, 1]."""
    salience: float | None
    """In [0, 1], over the blends; None where there are none."""


def per_emotion(
    truth: Sequence[Mixture], predicted: Sequence[Mixture], emotions: Sequence[str]
) -> dict[str, EmotionScores]:
    """Precision, recall and F1 of the presence of every emotion, in the order given.

    Raises InputError for sequences of different lengths.

    >>> per_emotion([Mixture({"ang": 70, "hap": 30})], [Mixture.single("hap")], ("ang", "hap"))["hap"]
    EmotionScores(precision=1.0, recall=1.0, f1=1.0, clips=1)
    """
    _check_lengths(len(truth), len(predicted))
    found: dict[str, EmotionScores] = {}
    for emotion in emotions:
        has = np.array([emotion in mixture.emotions for mixture in truth], dtype=bool)
        said = np.array([emotion in mixture.emotions for mixture in predicted], dtype=bool)
        right, num_said, num_has = (int(one.sum()) for one in (has & said, said, has))
        found[emotion] = EmotionScores(
            precision=right / num_said if num_said else None,
            recall=right / num_has if num_has else None,
            f1=2 * right / (num_said + num_has) if num_said or num_has else None,
            clips=num_has,
        )
    return found


def by_group(compared: Correctness, groups: Sequence[str]) -> dict[str, GroupScores]:
    """The official accuracies of every group of clips, by name: intensity levels, actors, corpora.

    `groups` names one group per clip. Raises InputError for another number of names.

    >>> truth = [Mixture.single("ang"), Mixture.single("sad")]
    >>> by_group(correctness(truth, [truth[0], truth[0]]), ["level 1", "level 2"])["level 1"]
    GroupScores(clips=1, blends=0, presence=1.0, salience=None)
    """
    _check_lengths(len(compared.presence), len(groups))
    names = np.asarray(groups, dtype=str)
    return {str(name): _group_scores(compared, names == name) for name in np.unique(names)}


def per_set(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> dict[str, GroupScores]:
    """The official accuracies of every set of emotions that occurs, single or pair.

    >>> per_set([Mixture({"hap": 70, "ang": 30})], [Mixture({"ang": 50, "hap": 50})])
    {'ang+hap': GroupScores(clips=1, blends=1, presence=1.0, salience=0.0)}
    """
    return by_group(correctness(truth, predicted), [set_name(mixture.emotions) for mixture in truth])


def per_pair(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> dict[str, GroupScores]:
    """The same of the blends only."""
    return {name: scores for name, scores in per_set(truth, predicted).items() if scores.blends}


def per_share(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> dict[str, GroupScores]:
    """The official accuracies of blends by their larger and smaller share, in whole percent.

    >>> list(per_share([Mixture({"hap": 70, "ang": 30})], [Mixture.single("ang")]))
    ['70/30']
    """
    names = ["/".join(str(s) for s in sorted(mixture.rounded().values(), reverse=True)) for mixture in truth]
    groups = by_group(correctness(truth, predicted), names)
    return {name: scores for name, scores in groups.items() if scores.blends}


def macro_presence(truth: Sequence[Mixture], predicted: Sequence[Mixture]) -> float:
    """The mean presence accuracy over the sets of emotions that occur, in [0, 1].

    Every set counts alike, however many clips it has. Raises InputError for no clips.

    >>> ang, sad = Mixture.single("ang"), Mixture.single("sad")
    >>> macro_presence([ang, ang, ang, sad], [ang, ang, ang, ang])
    0.5
    """
    if not truth:
        raise InputError("macro presence of no clips is undefined")
    return float(np.mean([scores.presence for scores in per_set(truth, predicted).values()]))


def salience_given_presence(compared: Correctness) -> float | None:
    """Share of the blends with the right emotions whose shares are right too, in [0, 1].

    None where no blend has the right emotions.

    >>> truth = [Mixture({"ang": 70, "hap": 30})]
    >>> salience_given_presence(correctness(truth, [Mixture({"ang": 50, "hap": 50})]))
    0.0
    """
    right = compared.presence & compared.is_blend
    return float(compared.salience[right].mean()) if right.any() else None


def _group_scores(compared: Correctness, rows: np.ndarray) -> GroupScores:
    blends = int(compared.is_blend[rows].sum())
    return GroupScores(
        clips=int(rows.sum()),
        blends=blends,
        presence=float(compared.presence[rows].mean()),
        salience=float(compared.salience[rows].sum() / blends) if blends else None,
    )


def _check_lengths(expected: int, got: int) -> None:
    if expected != got:
        raise InputError(f"got {got} predictions or groups for {expected} clips: lengths must agree")


@dataclass(frozen=True, slots=True)
class Overall:
    """Single numbers over all clips pooled."""

    macro_presence: float
    """Mean presence accuracy over sets of emotions, in [0, 1]."""
    salience_given_presence: float | None
    """Share of the blends found that have the right shares, in [0, 1]; None where no blend was found."""
    share_pearson: float
    """Pearson's correlation of probabilities and true shares, mean over emotions, in [-1, 1]."""
    share_distance: float
    """Earth mover's distance from probabilities to true shares, mean over clips, in [0, 1]."""
    decided_distance: float
    """The same from decided shares."""
    calibration_error: float
    """Expected calibration error of the probabilities against true shares, mean over emotions, in [0, 1]."""
    confidence_error: float
    """The same of the most probable emotion alone."""


OVERALL_WORDS = {
    "macro_presence": "macro presence",
    "salience_given_presence": "salience given presence",
    "share_pearson": "Pearson, shares",
    "share_distance": "EMD, probabilities to shares",
    "decided_distance": "EMD, decisions to shares",
    "calibration_error": "calibration error, emotions",
    "confidence_error": "calibration error, most probable",
}
"""Field of `Overall` -> what it is called where people read it."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One run, taken apart."""

    overall: Overall
    emotions: Mapping[str, EmotionScores]
    """In the order of the label space."""
    pairs: Mapping[str, GroupScores]
    """Blends by their emotions."""
    shares: Mapping[str, GroupScores]
    """Blends by larger and smaller share."""
    groups: Mapping[str, Mapping[str, GroupScores]] = field(
        default_factory=dict[str, Mapping[str, GroupScores]]
    )
    """Name of a grouping, such as `level` -> its groups."""


def breakdown(
    truth: Sequence[Mixture],
    decided: Sequence[Mixture],
    probabilities: Float[ndarray, "clip emotion"],
    space: LabelSpace,
    groupings: Mapping[str, Sequence[str]] | None = None,
) -> Breakdown:
    """Takes decisions and the probabilities behind them apart; `groupings` name a group per clip.

    Raises InputError for no clips, or sequences of different lengths.
    """
    compared = correctness(truth, decided)
    targets, chosen = (np.array([space.target(one) for one in some]) for some in (truth, decided))
    overall = Overall(
        macro_presence=macro_presence(truth, decided),
        salience_given_presence=salience_given_presence(compared),
        share_pearson=mean_pearson(probabilities, targets),
        share_distance=earth_movers_distance(probabilities, targets),
        decided_distance=earth_movers_distance(chosen, targets),
        calibration_error=classwise_error(probabilities, targets),
        confidence_error=confidence(probabilities, targets).error,
    )
    return Breakdown(
        overall,
        per_emotion(truth, decided, space.emotions),
        per_pair(truth, decided),
        per_share(truth, decided),
        {name: by_group(compared, groups) for name, groups in (groupings or {}).items()},
    )
