"""Training on pooled features, and the final model applied to those of new clips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.network import Batch, FusionModule, Network, Outputs, ScoresHead
from blended.fusion.objective import make_objective, targets_of
from blended.fusion.preprocessing import PCAConfig, Standardiser, standardise_per_actor
from blended.fusion.sources import BatchSource, Pooled, pooled_source
from blended.fusion.strategy import NewClips, Standardise, State, trained_from
from blended.fusion.training import Problem, Trained


class Concatenation(FusionModule):
    """[clip, sum of widths]; a missing modality is zeros, which is the mean of standardised features."""

    def __init__(self, widths: Mapping[str, int], modality_of: Mapping[str, int]) -> None:
        super().__init__(sum(widths.values()), len(set(modality_of.values())))
        self.modality_of = dict(modality_of)

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`, in the order of the encoders."""
        present = batch["present"]
        parts = [batch[name] * present[..., k : k + 1] for name, k in self.modality_of.items()]
        return {"z": torch.cat(parts, dim=-1)}


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

    def make_network(source: BatchSource) -> Network:
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


def standardised(clips: NewClips, over: Standardise) -> NewClips:
    """New clips before what was fitted on the training part: over those of each person, if `actor`."""
    if over == "training":
        return clips
    return replace(
        clips, features={n: standardise_per_actor(x_ND, clips.actors) for n, x_ND in clips.vectors.items()}
    )


def pooled_model(
    state: State,
    prefix: str,
    names: Sequence[str],
    clips: NewClips,
    training: TrainingConfig,
    make_module: MakeModule,
) -> Trained:
    """The final model whose tensors have names with that prefix, with new clips as its source.

    Raises InputError for features of another width than it was trained on.
    """
    at = f"{prefix}source."
    standardisers = {n: Standardiser(state[f"{at}{n}.mean"], state[f"{at}{n}.spread"]) for n in names}
    features = {n: _features(n, clips, standardisers[n].mean_MD.shape[1]) for n in names}
    present = {n: _used(n, clips) for n in names}
    modalities = tuple(dict.fromkeys(clips.modality_of[name] for name in names))
    columns = [
        torch.stack([present[n] for n in names if clips.modality_of[n] == modality]).any(dim=0)
        for modality in modalities
    ]
    source = Pooled(
        features,
        present,
        torch.stack(columns, dim=1),
        {name: modalities.index(clips.modality_of[name]) for name in names},
        standardisers,
        {name: state[f"{at}{name}.components"] for name in names if f"{at}{name}.components" in state},
        modalities=modalities,
    )
    device = next(iter(features.values())).device
    network = network_of(make_module, source, clips.space, training, device)
    return trained_from(state, prefix, network, source, training, device)


def out_of_distribution_distance(
    trained: Trained, used: Sequence[str]
) -> dict[str, Float[np.ndarray, "clip"]]:
    """Encoder -> root mean square of every clip's standardised features: about 1 for clips as in training."""
    source = cast(Pooled, trained.source)
    distances: dict[str, np.ndarray] = {}
    for name in used:
        x_ND = source.features[name]
        z_MND = source.standardisers[name](x_ND.expand(trained.num_models, *x_ND.shape))
        distances[name] = z_MND.square().mean(dim=(0, 2)).sqrt().double().cpu().numpy()
    return distances


def _features(name: str, clips: NewClips, trained_on: int) -> Float[Tensor, "clip dim"]:
    if name not in clips.vectors:
        reference = next(iter(clips.vectors.values()))
        return torch.zeros(len(clips.actors), trained_on, device=reference.device)
    x_ND = clips.vectors[name]
    if x_ND.shape[1] != trained_on:
        raise InputError(
            f"the features of {name} have {x_ND.shape[1]} columns, but the model was trained on "
            f"{trained_on}: the encoder's settings differ from those of the run"
        )
    return x_ND


def _used(name: str, clips: NewClips) -> Bool[Tensor, "clip"]:
    reference = next(iter(clips.vectors.values()))
    return torch.full((len(clips.actors),), name in clips.vectors, device=reference.device)
