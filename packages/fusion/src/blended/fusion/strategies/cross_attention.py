"""Cross-attention: sequences of sound and picture attend to each other before a clip becomes one vector."""

from collections.abc import Callable, Mapping
from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from blended.data import InputError, LabelSpace
from blended.fusion.config import FeatureNames, TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.modules.bidirectional import Bidirectional
from blended.fusion.modules.published import AVCANet, JointStream, M2FNetFusion
from blended.fusion.modules.streams import StreamShape
from blended.fusion.nested import train_nested
from blended.fusion.network import FusionModule, Network, ScoresHead
from blended.fusion.objective import make_objective, targets_of
from blended.fusion.preprocessing import PCAConfig
from blended.fusion.run import Surroundings
from blended.fusion.sequences import SequenceSource, sequence_source
from blended.fusion.strategies.sequenced import Streaming, apply_sequenced, streams_of
from blended.fusion.strategy import Applied, Fused, NewClips, Standardise, State, fused
from blended.fusion.training import Problem

Kind = Literal["bidirectional", "m2fnet", "av-canet", "joint"]
MakeSequenceModule = Callable[[Mapping[str, StreamShape], int, int, int, float], FusionModule]
"""(shape per modality, width, heads, layers, dropout) -> a fusion module."""

KINDS: dict[Kind, MakeSequenceModule] = {
    "bidirectional": Bidirectional,
    "m2fnet": M2FNetFusion,
    "av-canet": AVCANet,
    "joint": JointStream,
}

PIECES_BY_LENGTH = 2
"""Less padding against more and smaller matrix products, as measured on the demo corpus."""


class CrossAttentionConfig(BaseModel):
    """Two streams that attend to each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["cross-attention"] = "cross-attention"
    features: FeatureNames
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

    @model_validator(mode="after")
    def _heads_fit(self) -> "CrossAttentionConfig":
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} cannot be shared out among {self.heads} heads: give a multiple of them"
            )
        return self


def fit_cross_attention(config: CrossAttentionConfig, inputs: Inputs, seed: int, run: Surroundings) -> Fused:
    """Trains one network per fold on sequences standardised on the training part."""
    device, space = inputs.targets.device, inputs.space
    streams, blocks = streams_of(_streaming(config), inputs.sequences, inputs.modality_of, inputs.actors)
    problem = Problem(
        make_source=lambda jobs: sequence_source(streams, blocks, config.max_seconds, jobs, config.pca),
        make_network=lambda source: network_of(config, cast(SequenceSource, source), space, device),
        targets=targets_of(inputs.targets, space),
        objective=make_objective(config.training.loss, space, config.training.scores == "set-ratio", device),
        device=device,
        by_length=PIECES_BY_LENGTH if _separable(config.training, space) else 1,
    )
    nested = train_nested(
        problem, inputs.folds, len(inputs.clips), config.training, seed, run, inputs.nesting
    )
    return fused(nested, inputs)


def _separable(training: TrainingConfig, space: LabelSpace) -> bool:
    """Whether the loss of a batch is a mean over its clips, none of which is mixed with another."""
    return space.task != "intensities" and not (training.mixup or training.loss.contrastive)


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
    module = KINDS[config.kind](shapes, config.width, config.heads, config.layers, training.dropout)
    head = ScoresHead(module.width, training.hidden, space, training.scores, training.dropout, device)
    return Network(module, head)


def apply_cross_attention(config: CrossAttentionConfig, state: State, clips: NewClips) -> Applied:
    """The final network on new clips; a modality without features is masked."""

    def make_network(source: SequenceSource, device: torch.device) -> Network:
        return network_of(config, source, clips.space, device)

    return apply_sequenced(_streaming(config), state, clips, config.training, make_network)


def _streaming(config: CrossAttentionConfig) -> Streaming:
    return Streaming(config.features, config.standardise, config.rate_hz, config.max_seconds)
