"""Early fusion: features of all encoders side by side into one head.

With one encoder this is the plain Linear, MLP-256 or MLP-512 of the BLEMORE baseline.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from blended.fusion.config import FeatureNames, TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import train_nested
from blended.fusion.preprocessing import PCAConfig
from blended.fusion.run import Surroundings
from blended.fusion.strategies.pooled import (
    Concatenation,
    out_of_distribution_distance,
    pooled_model,
    pooled_problem,
    standardised,
)
from blended.fusion.strategy import Applied, Fused, NewClips, Standardise, State, fused, said


class EarlyConfig(BaseModel):
    """Concatenation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["early"] = "early"
    features: FeatureNames
    """Encoders, in the order of concatenation."""
    standardise: Standardise = "training"
    pca: PCAConfig | None = None
    """Per encoder, fitted on the training part."""
    training: TrainingConfig = TrainingConfig()


def fit_early(config: EarlyConfig, inputs: Inputs, seed: int, run: Surroundings) -> Fused:
    """Trains one head per fold on the concatenated features, standardised on the training part."""
    problem = pooled_problem(
        inputs, config.features, config.standardise, config.training, config.pca, Concatenation
    )
    nested = train_nested(
        problem, inputs.folds, len(inputs.clips), config.training, seed, run, inputs.nesting
    )
    return fused(nested, inputs)


def apply_early(config: EarlyConfig, state: State, clips: NewClips) -> Applied:
    """One head on all features side by side; those of a missing encoder count as average."""
    clips = standardised(clips, config.standardise)
    trained = pooled_model(state, "", config.features, clips, config.training, Concatenation)
    outputs = said(trained, len(clips.actors))
    used = [name for name in config.features if name in clips.vectors]
    return Applied(
        probabilities=outputs["emotions"],
        states=outputs.get("states"),
        weights={"+".join(used): 1.0},
        missing=tuple(name for name in config.features if name not in used),
        out_of_distribution=out_of_distribution_distance(trained, used),
    )
