"""A final model, read from its state, applied to new clips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.fusion.config import TrainingConfig
from blended.fusion.media import Media
from blended.fusion.per_actor import standardise_per_actor
from blended.fusion.preprocessing import Standardiser
from blended.fusion.sequences import Sequences
from blended.fusion.sources import Pooled
from blended.fusion.strategies.pooled import MakeModule, network_of
from blended.fusion.training import Trained

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class NewClips:
    """Clips to be judged, on one device. An encoder that could not be used is left out."""

    space: LabelSpace
    actors: Sequence[str]
    """Who is seen, per clip; a strategy that standardises per actor does so over these clips."""
    modality_of: Mapping[str, str]
    """Of every encoder of the strategy, used or not."""
    features: Mapping[str, Float[Tensor, "clip _"]] = field(default_factory=dict)
    sequences: Mapping[str, Sequences] = field(default_factory=dict)
    media: Media | None = None
    """The clips themselves, for a strategy that reads them."""

    @property
    def used(self) -> tuple[str, ...]:
        """Encoders with features, and the tracks of the clips themselves."""
        tracks = () if self.media is None else self.media.tracks
        return (*self.features, *self.sequences, *tracks)


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What the final model says about new clips."""

    probabilities: Float[np.ndarray, "clip emotion"]
    """In the order of the label space; they add up to 1, or are intensities."""
    states: Float[np.ndarray, "clip state"] | None
    """Probabilities of the label states, where the head gives them."""
    weights: Mapping[str, float]
    """What every encoder that was used counted for, together 1; one entry `a+b` where they are one input."""
    missing: tuple[str, ...]
    """Encoders of the strategy without features here."""
    out_of_distribution: Mapping[str, Float[np.ndarray, "clip"]]
    """Encoder -> how far a clip lies from the training clips, as the root mean square of its standardised
    features. About 1 for clips like those, 0 or more."""


Apply = Callable[[Any, State, NewClips], Applied]
"""(config, state, clips) -> Applied."""


def per_actor(clips: NewClips) -> NewClips:
    """The clips with pooled features standardised over those of each person."""
    return replace(
        clips,
        features={name: standardise_per_actor(x_ND, clips.actors) for name, x_ND in clips.features.items()},
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
    present = {n: _present(n, clips) for n in names}
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


def trained_from(
    state: State, prefix: str, network: Any, source: Any, training: TrainingConfig, device: torch.device
) -> Trained:
    """The models whose parameters have names with that prefix."""
    at = f"{prefix}network."
    parameters = {name.removeprefix(at): value for name, value in state.items() if name.startswith(at)}
    return Trained(network, parameters, source, np.empty((0, 0)), training, device)


def said(trained: Trained, num_clips: int) -> dict[str, np.ndarray]:
    """What the models say about all clips of their source, on average."""
    outputs = trained.predict_all(np.arange(num_clips))
    return {key: values.mean(axis=0) for key, values in outputs.items()}


def out_of_distribution_distance(
    trained: Trained, used: Sequence[str]
) -> dict[str, Float[np.ndarray, "clip"]]:
    """By encoder; see `Applied`."""
    source = cast(Pooled, trained.source)
    distances: dict[str, np.ndarray] = {}
    for name in used:
        x_ND = source.features[name]
        z_MND = source.standardisers[name](x_ND.expand(trained.num_models, *x_ND.shape))
        distances[name] = z_MND.square().mean(dim=(0, 2)).sqrt().double().cpu().numpy()
    return distances


def _features(name: str, clips: NewClips, trained_on: int) -> Float[Tensor, "clip dim"]:
    if name not in clips.features:
        reference = next(iter(clips.features.values()))
        return torch.zeros(len(clips.actors), trained_on, device=reference.device)
    x_ND = clips.features[name]
    if x_ND.shape[1] != trained_on:
        raise InputError(
            f"the features of {name} have {x_ND.shape[1]} columns, but the model was trained on "
            f"{trained_on}: the encoder's settings differ from those of the run"
        )
    return x_ND


def _present(name: str, clips: NewClips) -> Bool[Tensor, "clip"]:
    reference = next(iter(clips.features.values()))
    return torch.full((len(clips.actors),), name in clips.features, device=reference.device)
