"""A per-clip gate over encoders: which of them to trust is decided clip by clip."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.modules.gated import Gated
from blended.fusion.nested import train_nested
from blended.fusion.preprocessing import PCAConfig
from blended.fusion.run import Run
from blended.fusion.strategies.pooled import (
    MakeModule,
    out_of_distribution_distance,
    pooled_model,
    pooled_problem,
    standardised,
)
from blended.fusion.strategy import Applied, Fused, NewClips, Standardise, State, fused, said


class GatedConfig(BaseModel):
    """Weighted sum of projected encoders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["gated"] = "gated"
    features: tuple[str, ...] = Field(min_length=1)
    """Encoders, weighed by a gate."""
    standardise: Standardise = "training"
    pca: PCAConfig | None = None
    """Per encoder, fitted on the training part."""
    width: int = Field(default=64, ge=1)
    """Of the vector that each encoder becomes."""
    top: int | None = Field(default=None, ge=1)
    """Encoders kept per clip; None for all."""
    training: TrainingConfig = TrainingConfig(learning_rate=3e-4, dropout=0.2)


def fit_gated(config: GatedConfig, inputs: Inputs, seed: int, run: Run) -> Fused:
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
