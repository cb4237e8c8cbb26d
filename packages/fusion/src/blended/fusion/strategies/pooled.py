"""What strategies on pooled features have in common: their problem, and their final model applied."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from blended.data import LabelSpace
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.network import FusionModule, Network, ScoresHead
from blended.fusion.objective import make_objective, targets_of
from blended.fusion.per_actor import standardise_per_actor
from blended.fusion.preprocessing import PCAConfig
from blended.fusion.sources import Pooled, Source, pooled_source
from blended.fusion.strategies.fused import Standardise
from blended.fusion.training import Problem

MakeModule = Callable[[Mapping[str, int], Mapping[str, int]], FusionModule]
"""(width per encoder, column of `present` per encoder) -> a fusion module."""


def network_of(
    make_module: MakeModule, source: Pooled, space: LabelSpace, training: TrainingConfig, device: torch.device
) -> Network:
    """A fresh network for what the source gives."""
    module = make_module(source.widths, source.modality_of)
    head = ScoresHead(module.width, training.hidden, space, training.scores, training.dropout, device)
    return Network(module, head)


def pooled_problem(
    inputs: Inputs,
    names: Sequence[str],
    standardise: Standardise,
    training: TrainingConfig,
    pca: PCAConfig | None,
    make_module: MakeModule,
) -> Problem:
    """Training on the pooled features of some encoders."""
    device = inputs.targets.device
    features = {name: _per_actor(inputs, name, standardise) for name in names}
    present = {name: _present(inputs, name) for name in names}
    modality_of = {name: inputs.modality_of[name] for name in names}

    def make_network(source: Source) -> Network:
        return network_of(make_module, cast(Pooled, source), inputs.space, training, device)

    return Problem(
        make_source=lambda jobs: pooled_source(features, present, modality_of, jobs, pca),
        make_network=make_network,
        targets=targets_of(inputs.targets, inputs.space),
        objective=make_objective(training.loss, inputs.space, training.scores == "set-ratio", device),
        device=device,
    )


def _present(inputs: Inputs, name: str) -> Bool[Tensor, "clip"]:
    absent = inputs.missing.get(name, np.zeros(len(inputs.clips), dtype=bool))
    return ~torch.from_numpy(absent).to(inputs.targets.device)


def _per_actor(inputs: Inputs, name: str, standardise: Standardise) -> Tensor:
    x_ND = inputs.features[name]
    if standardise == "training":
        return x_ND
    present = _present(inputs, name)
    actors = [actor for actor, kept in zip(inputs.actors, present.tolist(), strict=True) if kept]
    standardised = torch.zeros_like(x_ND)
    standardised[present] = standardise_per_actor(x_ND[present], actors)
    return standardised
