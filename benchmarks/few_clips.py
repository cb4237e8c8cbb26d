"""What normalisation per actor does to people of few clips: real outputs, half the actors with most gone.

Needs the folder of BLEMORE reference files, as `decisions.py` does: `python benchmarks/few_clips.py FOLDER`,
a minute on one core. The table of LOG.md, "People of few clips".
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from decisions import load
from threadpoolctl import threadpool_limits

from blended.data import Mixture
from blended.eval.evaluation import evaluate
from blended.eval.evidence import Evidence
from blended.eval.measures.blends import correctness
from blended.eval.normalisation import NORMALISATIONS, Populations, standardise_per_actor
from blended.eval.protocol import Protocol

KEPT = (1, 2, 4, 8)
REPEATS = 5


def by_themselves(evidence: Evidence, known: Populations | None = None) -> Evidence:
    """Until 2026-11-27: each person's clips by their own mean and spread, however few; zeros for one clip."""
    del known
    logits = np.zeros_like(evidence.logits)
    for actor in np.unique(evidence.actors):
        own = evidence.logits[evidence.actors == actor]
        if len(own) > 1:
            logits[evidence.actors == actor] = (own - own.mean(axis=0)) / own.std(axis=0)
    return replace(evidence, logits=logits, given_probabilities=None)


WAYS = {"none": None, "by themselves": by_themselves, "held against everybody": standardise_per_actor}


def thinned(actors: np.ndarray, kept: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows left, and which of them are of the actors (every other one) who keep so many clips."""
    rng, few = np.random.default_rng([seed, kept]), np.unique(actors)[::2]
    rows = [np.flatnonzero(actors == actor) for actor in np.unique(actors)]
    left = [rng.choice(own, kept, replace=False) if actors[own[0]] in few else own for own in rows]
    places = np.sort(np.concatenate(left))
    return places, np.isin(actors[places], few)


def right(evidence: Evidence, truth: list[Mixture], way: str, few: np.ndarray) -> tuple[float, int]:
    """Presence accuracy of people of few clips under `bayes`, and how many different answers they get."""
    if (normalisation := WAYS[way]) is not None:
        NORMALISATIONS["actor"] = normalisation
    found = evaluate(evidence, truth, Protocol("bayes", "none" if normalisation is None else "actor"))
    answers = {found.mixtures[row].name for row in np.flatnonzero(few)}
    return float(correctness(truth, found.mixtures).presence[few].mean()), len(answers)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    evidence, truth = load(parser.parse_args().folder)
    print(f"| clips left of a person | {' | '.join(WAYS)} |\n|---{'|---' * len(WAYS)}|")
    with threadpool_limits(limits=1, user_api="blas"):
        for kept in KEPT:
            cells: list[str] = []
            for way in WAYS:
                runs: list[tuple[float, int]] = []
                for seed in range(REPEATS):
                    rows, few = thinned(evidence.actors, kept, seed)
                    runs.append(right(evidence.take(rows), [truth[row] for row in rows], way, few))
                accuracy, answers = np.mean(runs, axis=0)
                cells.append(f"{accuracy:.3f} ({answers:.0f} answers)")
            print(f"| {kept} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
