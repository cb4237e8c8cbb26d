"""Cross-attention: sequences of sound and picture attend to each other before a clip becomes one vector."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.fusion.bodies.av_canet import AVCANet
from blended.fusion.bodies.bidirectional import Bidirectional
from blended.fusion.bodies.joint import JointStream
from blended.fusion.bodies.m2fnet import M2FNetFusion
from blended.fusion.bodies.streams import StreamShape
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import train_nested
from blended.fusion.network import Body, Network, ScoresHead
from blended.fusion.objective import make_objective, targets_of
from blended.fusion.per_actor import standardise_per_actor
from blended.fusion.preprocessing import PCAConfig, Standardiser
from blended.fusion.run import Run
from blended.fusion.sequences import Sequences, SequenceSource, resampled, sequence_source, side_by_side
from blended.fusion.strategies.applied import Applied, NewClips, State, said, trained_from
from blended.fusion.strategies.fused import Fused, Standardise, fused
from blended.fusion.training import Problem

Kind = Literal["bidirectional", "m2fnet", "av-canet", "joint"]
MakeSequenceBody = Callable[[Mapping[str, StreamShape], int, int, int, float], Body]
"""(shape per modality, width, heads, layers, dropout) -> a body."""

KINDS: dict[Kind, MakeSequenceBody] = {
    "bidirectional": Bidirectional,
    "m2fnet": M2FNetFusion,
    "av-canet": AVCANet,
    "joint": JointStream,
}


class CrossAttentionConfig(BaseModel):
    """Two streams that attend to each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["cross-attention"] = "cross-attention"
    features: tuple[str, ...] = Field(min_length=1)
    """Encoders; those of one modality stand side by side in one stream."""
    standardise: Standardise = "training"
    kind: Kind = "bidirectional"
    width: int = Field(default=32, ge=4)
    heads: int = Field(default=8, ge=1)
    layers: int = Field(default=1, ge=1)
    rate_hz: float | int | None = Field(default=12.5, gt=0)
    """Steps per second of both streams; None for the lowest rate among a stream's encoders."""
    pca: PCAConfig | None = None
    """Of each stream, fitted on the steps of the training part."""
    max_seconds: float | int = Field(default=10, gt=0)
    """What is later in a clip is cut off."""
    training: TrainingConfig = TrainingConfig(
        learning_rate=1e-3, weight_decay=0.05, batch_size=64, max_epochs=40, dropout=0.4, clip_norm=1.0
    )


def fit_cross_attention(config: CrossAttentionConfig, inputs: Inputs, seed: int, run: Run) -> Fused:
    """Trains one network per fold on sequences standardised on the training part."""
    device, space = inputs.targets.device, inputs.space
    streams, blocks = streams_of(config, inputs.sequences, inputs.modality_of, inputs.actors)
    problem = Problem(
        make_source=lambda jobs: sequence_source(streams, blocks, config.max_seconds, jobs, config.pca),
        make_network=lambda source: network_of(config, cast(SequenceSource, source), space, device),
        targets=targets_of(inputs.targets, space),
        objective=make_objective(config.training.loss, space, config.training.scores == "set-ratio", device),
        device=device,
    )
    nested = train_nested(problem, inputs.folds, len(inputs.clips), config.training, seed, run)
    return fused(nested, inputs)


def network_of(
    config: CrossAttentionConfig, source: SequenceSource, space: LabelSpace, device: torch.device
) -> Network:
    """A fresh network for the modalities that the source has.

    Raises InputError where a kind needs sound and picture and there is only one.
    """
    shapes = {
        name: StreamShape(source.widths[name], sequences.rate_hz)
        for name, sequences in source.sequences.items()
    }
    if len(shapes) < 2 and config.kind != "bidirectional":
        raise InputError(
            f"cross-attention of kind {config.kind!r} needs features of sound and of picture, got only "
            f"{', '.join(config.features)} ({', '.join(shapes)}): add an encoder of the other, or use "
            f"`kind: bidirectional`, whose one stream attends to itself"
        )
    training = config.training
    body = KINDS[config.kind](shapes, config.width, config.heads, config.layers, training.dropout)
    head = ScoresHead(body.width, training.hidden, space, training.scores, training.dropout, device)
    return Network(body, head)


def streams_of(
    config: CrossAttentionConfig,
    sequences: Mapping[str, Sequences],
    modality_of: Mapping[str, str],
    actors: Sequence[str],
) -> tuple[dict[str, Sequences], dict[str, tuple[str, int, int]]]:
    """Modality -> its encoders side by side at one rate; encoder -> modality, first and last + 1 column."""
    streams: dict[str, Sequences] = {}
    blocks: dict[str, tuple[str, int, int]] = {}
    for modality in sorted({modality_of[name] for name in config.features}):
        names = [name for name in config.features if modality_of[name] == modality]
        rate = config.rate_hz or min(sequences[name].rate_hz for name in names)
        parts = [resampled(sequences[name], float(rate)) for name in names]
        stream = side_by_side(parts)
        if config.standardise == "actor":
            steps: list[int] = stream.clip_of_step.tolist()
            who = [actors[clip] for clip in steps]
            stream = replace(stream, values_FD=standardise_per_actor(stream.values_FD, who))
        streams[modality] = stream
        at = 0
        for name, part in zip(names, parts, strict=True):
            blocks[name] = (modality, at, at + part.values_FD.shape[1])
            at += part.values_FD.shape[1]
    return streams, blocks


def apply_cross_attention(config: CrossAttentionConfig, state: State, clips: NewClips) -> Applied:
    """The final network on new clips; a modality without features is masked.

    Raises InputError where some encoders of a modality are there and others are not, and for features of
    another width than it was trained on.
    """
    used = [name for name in config.features if name in clips.sequences]
    missing = tuple(name for name in config.features if name not in used)
    there = {clips.modality_of[name] for name in used}
    if half := [name for name in missing if clips.modality_of[name] in there]:
        raise InputError(
            f"{', '.join(half)} could not be used although other encoders of the same modality could: "
            f"extract all of them"
        )
    given = config.model_copy(update={"features": tuple(used)})
    streams, blocks = streams_of(given, clips.sequences, clips.modality_of, clips.actors)
    source = _stored_source(config, state, clips, streams, blocks)
    device = next(iter(streams.values())).values_FD.device
    network = network_of(config, source, clips.space, device)
    trained = trained_from(state, "", network, source, config.training, device)
    outputs = said(trained, len(clips.actors))
    return Applied(
        probabilities=outputs["emotions"],
        states=outputs.get("states"),
        weights={"+".join(used): 1.0},
        missing=missing,
        strangeness={name: _strangeness(source, name) for name in streams},
    )


def _stored_source(
    config: CrossAttentionConfig,
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
    for modality in sorted({clips.modality_of[name] for name in config.features}):
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
    max_steps = {name: max(1, round(config.max_seconds * s.rate_hz)) for name, s in sequences.items()}
    return SequenceSource(sequences, standardisers, components, {}, max_steps, blocks)


def _nothing(like: Sequences, dim: int) -> Sequences:
    """As many clips, without a step."""
    none = torch.zeros_like(like.lengths_N)
    return Sequences(like.values_FD.new_zeros(1, dim), none, none, like.rate_hz)


def _strangeness(source: SequenceSource, modality: str) -> Float[np.ndarray, "clip"]:
    """Per clip, the root mean square of its standardised steps; about 1 for clips as in training."""
    sequences, standardise = source.sequences[modality], source.standardisers[modality]
    z_MFD = standardise(sequences.values_FD.expand(len(standardise.mean_MD), -1, -1))
    square_F = z_MFD.square().mean(dim=(0, 2))
    total = square_F.new_zeros(len(sequences.lengths_N)).index_add_(0, sequences.clip_of_step, square_F)
    return (total / sequences.lengths_N.clamp(min=1)).sqrt().double().cpu().numpy()
