"""Early fusion: features of all encoders side by side into one head.

With one encoder this is the plain Linear, MLP-256 or MLP-512 of the BLEMORE baseline.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from blended.fusion.inputs import Inputs
from blended.fusion.nested import Nested, train_nested
from blended.fusion.per_actor import standardise_per_actor
from blended.fusion.strategies.fused import Fused, Standardise
from blended.fusion.training import Log, TrainingConfig


class EarlyConfig(BaseModel):
    """Concatenation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["early"] = "early"
    features: tuple[str, ...] = Field(min_length=1)
    """Encoders, in the order of concatenation."""
    standardise: Standardise = "training"
    training: TrainingConfig = TrainingConfig()


def fit_early(config: EarlyConfig, inputs: Inputs, seed: int, log: Log) -> Fused:
    """Trains one head per fold on the concatenated features, standardised on the training part."""
    x_ND = torch.cat([inputs.features[name] for name in config.features], dim=1)
    if config.standardise == "actor":
        x_ND = standardise_per_actor(x_ND, inputs.actors)
    nested = train_nested(x_ND, inputs, config.training, seed, log)
    return Fused(nested.out_of_fold, nested.test, chosen_epochs(nested), final_state(nested))


def chosen_epochs(nested: Nested, prefix: str = "") -> dict[str, float]:
    """Epochs per fold and of the final model, for tracking."""
    per_fold = {f"{prefix}epochs/fold{fold}": float(epochs) for fold, epochs in nested.epochs.items()}
    return {**per_fold, f"{prefix}epochs/final": float(nested.final_epochs)}


def final_state(nested: Nested, prefix: str = "") -> dict[str, torch.Tensor]:
    """Parameters and standardiser of the final model."""
    final = nested.final
    state = {f"{prefix}{name}": value[0] for name, value in final.parameters.items()}
    state[f"{prefix}mean"] = final.standardise.mean_MD[0]
    state[f"{prefix}spread"] = final.standardise.spread_MD[0]
    return state
