"""What strategies on sequences have in common: one stream per modality, and new clips prepared likewise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from blended.data import InputError
from blended.fusion.config import TrainingConfig
from blended.fusion.network import Network
from blended.fusion.preprocessing import Standardiser, standardise_per_actor
from blended.fusion.sequences import Sequences, SequenceSource, resampled, side_by_side, uneven
from blended.fusion.strategy import Applied, NewClips, Standardise, State, said, trained_from


@dataclass(frozen=True, slots=True)
class Streaming:
    """How encoders become streams."""

    features: tuple[str, ...]
    standardise: Standardise
    rate_hz: float | int | None
    """Of all streams; None for the lowest rate among a stream's encoders."""
    max_seconds: float | int
    """What is later in a clip is cut off."""


def streams_of(
    how: Streaming,
    sequences: Mapping[str, Sequences],
    modality_of: Mapping[str, str],
    actors: Sequence[str],
) -> tuple[dict[str, Sequences], dict[str, tuple[str, int, int]]]:
    """Modality -> its encoders side by side at one rate; encoder -> modality, first and last + 1 column."""
    streams: dict[str, Sequences] = {}
    blocks: dict[str, tuple[str, int, int]] = {}
    for modality in sorted({modality_of[name] for name in how.features}):
        names = [name for name in how.features if modality_of[name] == modality]
        rate = how.rate_hz or min(sequences[name].rate_hz for name in names)
        parts = [resampled(sequences[name], float(rate)) for name in names]
        by_part = how.standardise == "actor" and uneven(parts)
        if by_part:
            # Each over the clips that have it: a person's mean must know of no gap.
            parts = [
                replace(one, values_FD=standardise_per_actor(one.values_FD, actors, one.clip_of_step))
                for one in parts
            ]
        stream = side_by_side(parts)
        if how.standardise == "actor" and not by_part:
            values_FD = standardise_per_actor(stream.values_FD, actors, stream.clip_of_step)
            stream = replace(stream, values_FD=values_FD)
        streams[modality] = stream
        at = 0
        for name, part in zip(names, parts, strict=True):
            blocks[name] = (modality, at, at + part.values_FD.shape[1])
            at += part.values_FD.shape[1]
    return streams, blocks


def apply_sequenced(
    how: Streaming,
    state: State,
    clips: NewClips,
    training: TrainingConfig,
    make_network: Callable[[SequenceSource, torch.device], Network],
) -> Applied:
    """The final network on new clips; a modality without features is masked.

    Raises InputError where some encoders of a modality are there and others are not, and for features of
    another width than it was trained on.
    """
    used = [name for name in how.features if name in clips.sequences]
    missing = tuple(name for name in how.features if name not in used)
    there = {clips.modality_of[name] for name in used}
    if half := [name for name in missing if clips.modality_of[name] in there]:
        raise InputError(
            f"{', '.join(half)} could not be used although other encoders of the same modality could: "
            f"extract all of them"
        )
    given = replace(how, features=tuple(used))
    streams, blocks = streams_of(given, clips.sequences, clips.modality_of, clips.actors)
    source = stored_source(how, state, clips, streams, blocks)
    device = next(iter(streams.values())).values_FD.device
    trained = trained_from(state, "", make_network(source, device), source, training, device)
    outputs = said(trained, len(clips.actors))
    return Applied(
        probabilities=outputs["emotions"],
        states=outputs.get("states"),
        weights={"+".join(used): 1.0},
        missing=missing,
        out_of_distribution={name: sequence_distance(source, name) for name in streams},
    )


def stored_source(
    how: Streaming,
    state: State,
    clips: NewClips,
    streams: dict[str, Sequences],
    blocks: dict[str, tuple[str, int, int]],
) -> SequenceSource:
    """New clips, prepared as the training clips of the final models were."""
    sequences: dict[str, Sequences] = {}
    standardisers: dict[str, Standardiser] = {}
    components: dict[str, Tensor] = {}
    reference = next(iter(streams.values()))
    for modality in sorted({clips.modality_of[name] for name in how.features}):
        mean = state[f"source.{modality}.mean"]
        standardisers[modality] = Standardiser(mean, state[f"source.{modality}.spread"])
        if f"source.{modality}.components" in state:
            components[modality] = state[f"source.{modality}.components"]
        sequences[modality] = streams.get(modality) or _nothing(reference, mean.shape[1])
        if sequences[modality].values_FD.shape[1] != mean.shape[1]:
            raise InputError(
                f"the {modality} features have {sequences[modality].values_FD.shape[1]} columns, but the "
                f"model was trained on {mean.shape[1]}: the encoders' settings differ from those of the run"
            )
    max_steps = {name: max(1, round(how.max_seconds * s.rate_hz)) for name, s in sequences.items()}
    return SequenceSource(sequences, standardisers, components, {}, max_steps, blocks)


def _nothing(like: Sequences, dim: int) -> Sequences:
    """As many clips, without a step."""
    none = torch.zeros_like(like.lengths_N)
    return Sequences(like.values_FD.new_zeros(1, dim), none, none, like.rate_hz)


def sequence_distance(source: SequenceSource, modality: str) -> Float[np.ndarray, "clip"]:
    """Per clip, the root mean square of its standardised steps; about 1 for clips as in training."""
    sequences, standardise = source.sequences[modality], source.standardisers[modality]
    z_MFD = standardise(sequences.values_FD.expand(len(standardise.mean_MD), -1, -1))
    if sequences.gaps:
        z_MFD.nan_to_num_(nan=0.0)
    square_F = z_MFD.square().mean(dim=(0, 2))
    total = square_F.new_zeros(len(sequences.lengths_N)).index_add_(0, sequences.clip_of_step, square_F)
    return (total / sequences.lengths_N.clamp(min=1)).sqrt().double().cpu().numpy()
