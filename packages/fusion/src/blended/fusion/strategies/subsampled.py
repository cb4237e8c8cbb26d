"""Subsampled training: every stretch of a clip is an example, and a clip is the mean of its stretches.

The second recipe of the BLEMORE baseline (arXiv 2601.13225), there with 16-frame windows: the loss is that of
each stretch, and logits are averaged over a clip before the softmax. B clips, T steps, W width.
"""

from collections.abc import Mapping
from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.fusion.config import FeatureNames, TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.modules.streams import StreamShape
from blended.fusion.nested import train_nested
from blended.fusion.network import Batch, FusionModule, Network, Outputs, ScoresHead
from blended.fusion.objective import make_objective, targets_of
from blended.fusion.preprocessing import PCAConfig
from blended.fusion.run import Surroundings
from blended.fusion.sequences import SequenceSource, sequence_source
from blended.fusion.strategies.sequenced import Streaming, apply_sequenced, streams_of
from blended.fusion.strategy import Applied, Fused, NewClips, Standardise, State, fused
from blended.fusion.training import Problem


class StepConcatenation(FusionModule):
    """The features of all streams side by side, step by step; a missing modality is zeros."""

    def __init__(self, shapes: Mapping[str, StreamShape]) -> None:
        super().__init__(sum(shape.dim for shape in shapes.values()), len(shapes))
        self.names = tuple(shapes)

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z` [clip, step, width] and `valid` [clip, step]."""
        num_steps = max(batch[name].shape[-2] for name in self.names)
        parts: list[Tensor] = []
        valid: list[Tensor] = []
        for place, name in enumerate(self.names):
            short = num_steps - batch[name].shape[-2]
            there = batch[f"{name}.valid"] & batch["present"][..., place : place + 1]
            parts.append(torch.nn.functional.pad(batch[name] * there.unsqueeze(-1), (0, 0, 0, short)))
            valid.append(torch.nn.functional.pad(there, (0, short)))
        return {"z": torch.cat(parts, dim=-1), "valid": torch.stack(valid).any(dim=0)}


class SubsampledConfig(BaseModel):
    """Stretches as examples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["subsampled"] = "subsampled"
    features: FeatureNames
    """Encoders, side by side."""
    standardise: Standardise = "training"
    stretch_seconds: float | int = Field(default=0.64, gt=0)
    """StepConcatenation within a stretch are averaged; 0.64 s are 16 frames at 25 Hz."""
    max_seconds: float | int = Field(default=30, gt=0)
    """What is later in a clip is cut off."""
    pca: PCAConfig | None = None
    """Of all features of a modality, fitted on the training part."""
    training: TrainingConfig = TrainingConfig(batch_size=64)


def fit_subsampled(config: SubsampledConfig, inputs: Inputs, seed: int, run: Surroundings) -> Fused:
    """Trains one head per fold on the stretches of the training part."""
    _check(config)
    device, space = inputs.targets.device, inputs.space
    streams, blocks = streams_of(_streaming(config), inputs.sequences, inputs.modality_of, inputs.actors)
    problem = Problem(
        make_source=lambda jobs: sequence_source(streams, blocks, config.max_seconds, jobs, config.pca),
        make_network=lambda source: _network(config, cast(SequenceSource, source), space, device),
        targets=targets_of(inputs.targets, space),
        objective=make_objective(config.training.loss, space, has_states=False, device=device),
        device=device,
    )
    nested = train_nested(
        problem, inputs.folds, len(inputs.clips), config.training, seed, run, inputs.nesting
    )
    return fused(nested, inputs)


def apply_subsampled(config: SubsampledConfig, state: State, clips: NewClips) -> Applied:
    """The final head on the stretches of new clips."""

    def make_network(source: SequenceSource, device: torch.device) -> Network:
        return _network(config, source, clips.space, device)

    return apply_sequenced(_streaming(config), state, clips, config.training, make_network)


def _check(config: SubsampledConfig) -> None:
    training = config.training
    if training.mixup or training.loss.r_drop or training.scores != "emotions":
        raise InputError(
            "subsampled fusion judges stretches, which are averaged as logits of emotions: leave out mixup, "
            "r_drop and `scores: set-ratio`"
        )


def _network(
    config: SubsampledConfig, source: SequenceSource, space: LabelSpace, device: torch.device
) -> Network:
    shapes = {
        name: StreamShape(source.widths[name], given.rate_hz) for name, given in source.sequences.items()
    }
    training = config.training
    module = StepConcatenation(shapes)
    return Network(
        module, ScoresHead(module.width, training.hidden, space, "emotions", training.dropout, device)
    )


def _streaming(config: SubsampledConfig) -> Streaming:
    return Streaming(config.features, config.standardise, 1 / config.stretch_seconds, config.max_seconds)
