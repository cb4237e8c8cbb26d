"""The official threshold grid for one fold: all 400 cells at once, against one clip and cell at a time.

The plain side does what the organisers' code does, per cell and clip, with dictionaries. Both sides must
agree on alpha and beta, or the ratio is not printed.
"""

import time
from collections.abc import Callable

import numpy as np

from blended.data import Mixture, Scores
from blended.data.corpora.blemore import SPACE
from blended.eval.decisions.thresholds import GRID, fit_thresholds
from blended.eval.evidence import gather
from blended.eval.measures.blends import challenge_score

NUM_CLIPS = 490


def plain_decision(p: dict[str, float], alpha: float, beta: float) -> dict[str, float]:
    """The two thresholds for one clip, written as in the paper."""
    (first, p1), (second, p2) = sorted(p.items(), key=lambda item: -item[1])[:2]
    if p2 < alpha or "neu" in (first, second):
        return {first: 100.0}
    if abs(p1 - p2) <= beta:
        return {first: 50.0, second: 50.0}
    return {first: 70.0, second: 30.0}


def plain_search(rows: list[dict[str, float]], truth: list[Mixture]) -> tuple[float, float]:
    """The best cell of the grid, the first on ties."""
    best, chosen = -1.0, (0.0, 0.0)
    for alpha in GRID:
        for beta in GRID:
            decided = [Mixture(plain_decision(row, alpha, beta)) for row in rows]
            if (score := challenge_score(truth, decided)) > best:
                best, chosen = score, (float(alpha), float(beta))
    return chosen


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Smallest time of several calls."""
    times: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Prints both times and their ratio."""
    rng = np.random.default_rng(0)
    truth = [SPACE.states[number] for number in rng.integers(0, len(SPACE.states), NUM_CLIPS)]
    logits = 3 * np.array([SPACE.target(state) for state in truth]) + rng.normal(size=(NUM_CLIPS, 6))
    names = tuple(f"clip{number}" for number in range(NUM_CLIPS))
    scores = Scores(names, SPACE.emotions, logits)
    evidence = gather([scores], ["a"] * NUM_CLIPS, [0] * NUM_CLIPS, SPACE)
    rows = [dict(zip(SPACE.emotions, row, strict=True)) for row in scores.probabilities().tolist()]

    ours = fit_thresholds(evidence, truth, 0)
    alpha, beta = plain_search(rows, truth)
    if (ours.alpha, ours.beta) != (alpha, beta):
        raise SystemExit(f"the two sides disagree: {ours.parameters} and {alpha}, {beta}")
    fast = seconds(lambda: fit_thresholds(evidence, truth, 0), 20)
    plain = seconds(lambda: plain_search(rows, truth), 1)
    print(f"{NUM_CLIPS} clips, 400 cells: plain {plain:.2f} s, vectorised {fast * 1e3:.2f} ms")
    print(f"ratio {plain / fast:.0f}")


if __name__ == "__main__":
    main()
