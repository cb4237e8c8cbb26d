"""The organisers' two thresholds on the mean probabilities.

Keep the two largest probabilities. If the second is below alpha, the first stands alone. If one of the
two cannot blend (neutral), the larger stands alone, and a tie goes to the other emotion. Otherwise the
two are present: 50/50 where their probabilities differ by at most beta, else 70/30 towards the larger.
alpha and beta come from a 20 x 20 grid that maximises the challenge score; the first best in
alpha-major order wins (BLEMORE baseline code, blemore-common).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from blended.data import LabelSpace, Mixture
from blended.eval.decisions.decider import FitOptions
from blended.eval.evidence import Evidence

GRID = np.linspace(0.05, 0.95, 20)


@dataclass(frozen=True, slots=True, eq=False)
class TopTwo:
    """The two most probable emotions of every clip."""

    first: Int[ndarray, "clip"]
    """Column of the largest probability: the emotion that stands if only one may."""
    second: Int[ndarray, "clip"]
    """Column of the second largest."""
    second_probability: Float[ndarray, "clip"]
    gap: Float[ndarray, "clip"]
    """First minus second probability."""
    can_blend: Bool[ndarray, "clip"]
    """Both emotions occur in blends."""


def top_two(probabilities: Float[ndarray, "clip emotion"], space: LabelSpace) -> TopTwo:
    """What the decision looks at; independent of the thresholds, so computed once per grid.

    Of equal probabilities the first column counts as larger, and one that cannot blend comes last: the
    order of the organisers, whose last column is neutral.
    """
    blendable = np.isin(space.emotions, sorted({e for s in space.states if s.is_blend for e in s.emotions}))
    order = np.lexsort((np.broadcast_to(~blendable, probabilities.shape), -probabilities), axis=1)
    first, second = order[:, 0], order[:, 1]
    rows = np.arange(len(order))
    largest, next_largest = probabilities[rows, first], probabilities[rows, second]
    return TopTwo(first, second, next_largest, largest - next_largest, blendable[first] & blendable[second])


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True mixtures as columns of the label space, for comparing without a loop."""

    larger: Int[ndarray, "clip"]
    """Column of the emotion with the larger share; of a 50/50 blend, either."""
    smaller: Int[ndarray, "clip"]
    """Column of the other emotion of a blend; -1 for a single."""
    share: Int[ndarray, "clip"]
    """Rounded share of `larger`, in percent."""


def truth_columns(truth: Sequence[Mixture], space: LabelSpace) -> Truth:
    """Reads mixtures into columns."""
    column = {emotion: number for number, emotion in enumerate(space.emotions)}
    rows: list[tuple[int, int, int]] = []
    for mixture in truth:
        ranked = sorted(mixture.rounded().items(), key=lambda item: -item[1])
        smaller = column[ranked[1][0]] if mixture.is_blend else -1
        rows.append((column[ranked[0][0]], smaller, ranked[0][1]))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Truth(table[:, 0], table[:, 1], table[:, 2])


def grid_accuracies(
    top: TopTwo, truth: Truth
) -> tuple[Float[ndarray, "alpha 1"], Float[ndarray, "alpha beta"]]:
    """Presence accuracy per alpha, and salience accuracy per alpha and beta, of the whole grid.

    Presence does not depend on beta. A blend is right in salience if its pair is right, its second
    probability reaches alpha, and its gap lies on the right side of beta: a product of two tables.
    """
    is_blend = truth.smaller >= 0
    right_alone = ~is_blend & (top.first == truth.larger)
    same = (top.first == truth.larger) & (top.second == truth.smaller)
    swapped = (top.first == truth.smaller) & (top.second == truth.larger)
    right_pair = is_blend & top.can_blend & (same | swapped)

    reaches = top.second_probability >= GRID[:, None]
    paired = reaches & top.can_blend
    presence = (np.where(paired, right_pair, right_alone)).mean(axis=1, keepdims=True)

    even = right_pair & (truth.share == 50)
    uneven = right_pair & same & (truth.share == 70)
    close = top.gap[:, None] <= GRID
    right_ratio = (even[:, None] & close) | (uneven[:, None] & ~close)
    num_blends = int(is_blend.sum())
    salience = reaches.astype(float) @ right_ratio.astype(float)
    return presence, salience / num_blends if num_blends else np.zeros_like(salience)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The fitted pair."""

    alpha: float
    """Smallest probability of a second emotion, in [0, 1]."""
    beta: float
    """Largest difference of probabilities that is called 50/50, in [0, 1]."""

    @property
    def parameters(self) -> dict[str, float]:
        """alpha and beta by name."""
        return {"alpha": self.alpha, "beta": self.beta}

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """The official decision on the mean probabilities of the models."""
        space = evidence.space
        top = top_two(evidence.mean_probabilities(), space)
        paired = (top.second_probability >= self.alpha) & top.can_blend
        close = top.gap <= self.beta
        return [
            _pair(space.emotions[first], space.emotions[second], even)
            if blend
            else Mixture.single(space.emotions[first])
            for first, second, blend, even in zip(
                *(column.tolist() for column in (top.first, top.second, paired, close)), strict=True
            )
        ]


def _pair(first: str, second: str, even: bool) -> Mixture:
    return Mixture({first: 50.0, second: 50.0} if even else {first: 70.0, second: 30.0})


def fit_thresholds(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Thresholds:
    """Searches the official grid on the given clips; the options change nothing."""
    del options
    top = top_two(evidence.mean_probabilities(), evidence.space)
    presence, salience = grid_accuracies(top, truth_columns(truth, evidence.space))
    best = int(np.argmax((presence + salience) / 2))
    return Thresholds(float(GRID[best // len(GRID)]), float(GRID[best % len(GRID)]))
