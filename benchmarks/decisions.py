"""Which decision deserves its place: variants on real outputs, knobs on inner folds, every row shown.

    python benchmarks/decisions.py ../shared/reference/blemore

The folder holds `train_metadata.csv` and `hicmae_*_validation_logits.csv`. Variants (`decision_variants.py`)
enter the tables DECISIONS and NORMALISATIONS for this process only, so the protocol is that of `blended
evaluate`.
"""

import argparse
from pathlib import Path

import numpy as np
from decision_variants import SPACE, TRIED, TRIED_NORMALISATIONS
from threadpoolctl import threadpool_limits

from blended.data import Mixture
from blended.data.corpora import blemore
from blended.eval.decisions import DECISIONS
from blended.eval.estimate import Estimate
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.evidence import Evidence, gather
from blended.eval.intervals import Spread
from blended.eval.measures.blends import correctness, score_spread
from blended.eval.normalisation import NORMALISATIONS
from blended.eval.predictions import read_scores
from blended.eval.protocol import Protocol

NUM_SAMPLES = 10_000


def load(folder: Path) -> tuple[Evidence, list[Mixture]]:
    """All score files of the folder together, and the truth."""
    clips = blemore.read_metadata(folder / "train_metadata.csv")
    files = sorted(folder.glob("hicmae_*_validation_logits.csv"))
    scores = [read_scores(path, clips, SPACE, "logits") for path in files]
    evidence = gather(scores, [clip.actor for clip in clips], [clip.fold or 0 for clip in clips], SPACE)
    return evidence, [clip.mixture for clip in clips if clip.mixture]


def inner_scores(one: Evaluation) -> list[float]:
    """Per reported fold, the mean score on the folds inside the others."""
    return [fold.parameters["inner"] for fold in one.folds]


def chosen_inside(tried: list[Evaluation], evidence: Evidence, truth: list[Mixture]) -> Estimate:
    """What choosing the variant itself by inner score, fold by fold, gives: the honest best."""
    best = np.argmax([inner_scores(one) for one in tried], axis=0)
    variant_of_fold = dict(zip(np.unique(evidence.folds).tolist(), best.tolist(), strict=True))
    decided = [tried[variant_of_fold[int(fold)]].decided[row] for row, fold in enumerate(evidence.folds)]
    return score_spread(correctness(truth, decided), evidence.actors, evidence.folds).estimates[2]


def drawn_scores(spreads: list[Spread]) -> np.ndarray:
    """[sample, system]: scores of other actors like these, drawn with replacement."""
    num_actors = len(spreads[0].parts)
    drawn = np.random.default_rng(0).multinomial(num_actors, np.full(num_actors, 1 / num_actors), NUM_SAMPLES)
    return np.stack([one.values[2] + (drawn - 1) @ one.parts[:, 2] for one in spreads], axis=1)


def compare(normalise: str, evidence: Evidence, truth: list[Mixture]) -> None:
    """Every variant under one normalisation; what the winner owes to luck."""
    results = {name: evaluate(evidence, truth, Protocol(name, normalise)) for name in TRIED}
    spreads = {
        name: score_spread(correctness(truth, one.mixtures), evidence.actors, evidence.folds)
        for name, one in results.items()
    }
    print(f"\n| normalise {normalise} | presence | salience | score | minus bayes | inner | inner > bayes |")
    print("|---|---|---|---|---|---|---|")
    for name, one in results.items():
        gap = spreads[name].minus(spreads["bayes"]).estimates[2]
        inner, theirs = inner_scores(one), inner_scores(results["bayes"])
        wins, of = sum(a > b for a, b in zip(inner, theirs, strict=True)), len(inner)
        cells = (*one.measured.values(), gap)
        print(f"| {name} | {' | '.join(map(str, cells))} | {np.mean(inner):.3f} | {wins}/{of} |")
    table = drawn_scores(list(spreads.values()))
    points = [one.measured["score"].value for one in results.values()]
    winners = table.argmax(axis=1)
    luck = float(np.mean(table[np.arange(len(table)), winners] - np.array(points)[winners]))
    first = float(np.mean(winners == np.argmax(points)))
    print(
        f"\nThe best of {len(TRIED)} leads {first:.0%} of samples of actors; a leader is flattered by "
        f"{luck:.3f}."
    )
    print(f"Chosen on inner folds instead: {chosen_inside(list(results.values()), evidence, truth)}.")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    evidence, truth = load(parser.parse_args().folder)
    DECISIONS.update(TRIED)
    NORMALISATIONS.update(TRIED_NORMALISATIONS)
    with threadpool_limits(limits=1, user_api="blas"):
        for normalise in ("none", "actor"):
            compare(normalise, evidence, truth)
        shipped = ("thresholds", "templates", "bayes", "set-ratio")
        print(f"\n| score | {' | '.join(shipped)} |\n|---{'|---' * len(shipped)}|")
        for name in TRIED_NORMALISATIONS:
            cells = [str(evaluate(evidence, truth, Protocol(d, name)).measured["score"]) for d in shipped]
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
