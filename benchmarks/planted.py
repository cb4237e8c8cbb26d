"""Synthetic stand-in for pooled features of BLEMORE: same numbers of clips, actors and folds, planted signal.

Nothing of it comes from recordings, and scores on it say nothing about people. Every encoder sees the shares
of the emotions through noise of its own, on top of who the actor is and of much that is neither.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from blended.data import Mixture, Scores
from blended.data.corpora.blemore import SPACE
from blended.eval.evaluation import Evaluation, evaluate
from blended.eval.evidence import gather
from blended.eval.protocol import Protocol
from blended.fusion.inputs import Inputs

NUM_SINGLES, NUM_BLENDS, NUM_ACTORS, NUM_FOLDS = 1130, 1326, 47, 5
NUM_CLIPS = NUM_SINGLES + NUM_BLENDS
LATENT_NOISE = 0.4
"""Standard deviation that every encoder adds to the shares: clips stay hard, however wide features are."""
NUISANCE_RANK, ACTOR_RANK = 200, 20


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Who acts what, in which fold."""

    truth: tuple[Mixture, ...]
    actors: Int[np.ndarray, "clip"]
    folds: Int[np.ndarray, "clip"]

    @property
    def targets(self) -> Float[np.ndarray, "clip emotion"]:
        """Shares."""
        return np.array([SPACE.target(mixture) for mixture in self.truth], dtype=np.float32)

    def inputs(self, features: dict[str, torch.Tensor], modality_of: dict[str, str]) -> Inputs:
        """What `fit` takes."""
        return Inputs(
            space=SPACE,
            targets=torch.from_numpy(self.targets),
            folds=self.folds,
            clips=tuple(f"clip{clip}" for clip in range(len(self.truth))),
            actors=tuple(f"A{actor}" for actor in self.actors),
            modality_of=modality_of,
            features=features,
        )

    def evaluation(self, probabilities: Float[np.ndarray, "clip emotion"], tune: str) -> Evaluation:
        """Two thresholds per fold: `cross-fold` or, as published and optimistic, `in-fold`."""
        names = tuple(f"clip{clip}" for clip in range(len(self.truth)))
        scores = Scores(names, SPACE.emotions, probabilities, "probabilities")
        evidence = gather([scores], [f"A{actor}" for actor in self.actors], self.folds.tolist(), SPACE)
        return evaluate(evidence, self.truth, Protocol("thresholds", tune=tune))


def planted_labels(seed: int = 0) -> Labels:
    """As many singles and blends as the training partition has, dealt out to actors, actors to folds."""
    rng = np.random.default_rng(seed)
    singles = [state for state in SPACE.states if not state.is_blend]
    blends = [state for state in SPACE.states if state.is_blend]
    dealt = [singles[k % len(singles)] for k in range(NUM_SINGLES)]
    dealt += [blends[k % len(blends)] for k in range(NUM_BLENDS)]
    truth = tuple(dealt[k] for k in rng.permutation(NUM_CLIPS))
    actors = np.sort(np.arange(NUM_CLIPS) % NUM_ACTORS)
    return Labels(truth, actors, actors % NUM_FOLDS)


def planted_features(labels: Labels, dim: int, seed: int) -> Float[torch.Tensor, "clip dim"]:
    """Features of one encoder in float32: noisy shares, the actor, strong directions without meaning."""
    rng = np.random.default_rng((1, seed))

    def spread_out(latent: Float[np.ndarray, "clip rank"]) -> Float[np.ndarray, "clip dim"]:
        mixing = rng.standard_normal((latent.shape[1], dim), dtype=np.float32)
        return (latent / np.sqrt(latent.shape[1])).astype(np.float32) @ mixing

    shares = labels.targets + LATENT_NOISE * rng.standard_normal(labels.targets.shape)
    who = rng.standard_normal((NUM_ACTORS, ACTOR_RANK))[labels.actors]
    falling = np.arange(1, NUISANCE_RANK + 1) ** -0.5
    nuisance = (
        rng.standard_normal((len(labels.truth), NUISANCE_RANK)) * falling / np.sqrt(np.mean(falling**2))
    )
    x = spread_out(shares - shares.mean(axis=0)) * 2 + spread_out(who) + spread_out(nuisance)
    x += np.float32(0.5) * rng.standard_normal(x.shape, dtype=np.float32)
    return torch.from_numpy(x * rng.lognormal(size=dim).astype(np.float32))
