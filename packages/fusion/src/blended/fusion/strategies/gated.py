"""A per-clip gate over encoders: which of them to trust is decided clip by clip.

B clips, K encoders, W width.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from blended.fusion.config import FeatureNames, TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import train_nested
from blended.fusion.network import Batch, FusionModule, Outputs, dropped
from blended.fusion.preprocessing import PCAConfig
from blended.fusion.run import Surroundings
from blended.fusion.strategies.pooled import (
    MakeModule,
    out_of_distribution_distance,
    pooled_model,
    pooled_problem,
    standardised,
)
from blended.fusion.strategy import Applied, Fused, NewClips, Standardise, State, fused, said


class Gated(FusionModule):
    """Every encoder becomes a vector of one width; their weighted sum is the clip's.

    Weights are a softmax over what a linear layer says of all vectors, set to 0 beyond the `top` largest and
    for encoders that the clip lacks, and scaled to add up to 1 (top-k gating, arXiv 1701.06538).
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        modality_of: Mapping[str, int],
        width: int,
        top: int | None,
        dropout: float,
    ) -> None:
        super().__init__(width, len(set(modality_of.values())), sum(widths.values()) if dropout else 0)
        self.modality_of, self.widths = dict(modality_of), dict(widths)
        self.top = min(top or len(widths), len(widths))
        self.dropout = dropout
        self.project = nn.ModuleList(nn.Linear(dim, width) for dim in widths.values())
        self.gate = nn.Linear(width * len(widths), len(widths))

    def forward(self, batch: Batch, uniform: Tensor | None = None) -> Outputs:
        """`z`, and `gates` [clip, encoder]."""
        vectors: list[Tensor] = []
        at = 0
        for project, (name, dim) in zip(self.project, self.widths.items(), strict=True):
            drawn = None if uniform is None else uniform[..., at : at + dim]
            vectors.append(project(dropped(batch[name], drawn, self.dropout)))
            at += dim
        present_BK = torch.stack(
            [batch["present"][..., k] & batch[f"{name}.present"] for name, k in self.modality_of.items()],
            dim=-1,
        )
        stacked_BKW = torch.stack(vectors, dim=-2) * present_BK.unsqueeze(-1)
        scores_BK = self.gate(stacked_BKW.flatten(-2)).masked_fill(~present_BK, -1e4)
        if self.top < scores_BK.shape[-1]:
            weakest = scores_BK.topk(self.top, dim=-1).values[..., -1:]
            scores_BK = scores_BK.masked_fill(scores_BK < weakest, -1e4)
        gates_BK = scores_BK.softmax(dim=-1)
        return {"z": (gates_BK.unsqueeze(-1) * stacked_BKW).sum(dim=-2), "gates": gates_BK}


class GatedConfig(BaseModel):
    """Weighted sum of projected encoders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["gated"] = "gated"
    features: FeatureNames
    """Encoders, weighed by a gate."""
    standardise: Standardise = "training"
    pca: PCAConfig | None = None
    """Per encoder, fitted on the training part."""
    width: int = Field(default=64, ge=1)
    """Of the vector that each encoder becomes."""
    top: int | None = Field(default=None, ge=1)
    """Encoders kept per clip; None for all."""
    training: TrainingConfig = TrainingConfig(learning_rate=3e-4, dropout=0.2)


def fit_gated(config: GatedConfig, inputs: Inputs, seed: int, run: Surroundings) -> Fused:
    """Trains projections, gate and head together, per fold."""
    problem = pooled_problem(
        inputs, config.features, config.standardise, config.training, config.pca, _module(config)
    )
    nested = train_nested(
        problem, inputs.folds, len(inputs.clips), config.training, seed, run, inputs.nesting
    )
    return fused(nested, inputs, gated=config.features)


def apply_gated(config: GatedConfig, state: State, clips: NewClips) -> Applied:
    """The gate among the encoders that are there."""
    clips = standardised(clips, config.standardise)
    trained = pooled_model(state, "", config.features, clips, config.training, _module(config))
    outputs = said(trained, len(clips.actors))
    used = [name for name in config.features if name in clips.vectors]
    gates = outputs["gates"].mean(axis=0)
    return Applied(
        probabilities=outputs["emotions"],
        states=outputs.get("states"),
        weights={name: float(gates[config.features.index(name)]) for name in used},
        missing=tuple(name for name in config.features if name not in used),
        out_of_distribution=out_of_distribution_distance(trained, used),
    )


def _module(config: GatedConfig) -> MakeModule:
    def make(widths: Mapping[str, int], modality_of: Mapping[str, int]) -> Gated:
        return Gated(widths, modality_of, config.width, config.top, config.training.dropout)

    return make
