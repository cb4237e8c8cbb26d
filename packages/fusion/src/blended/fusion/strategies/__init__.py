"""Fusion strategies, one file each; `FUSIONS` names them all.

Every strategy is a config and a function `fit(config, inputs, seed, log) -> Fused`.
"""

from typing import Annotated, cast

from pydantic import BaseModel, Field

from blended.fusion.inputs import Inputs
from blended.fusion.strategies.early import EarlyConfig, fit_early
from blended.fusion.strategies.fused import Fit, Fused
from blended.fusion.strategies.late import LateConfig, fit_late
from blended.fusion.training import Log

FusionConfig = Annotated[EarlyConfig | LateConfig, Field(discriminator="name")]

FUSIONS: dict[str, tuple[type[BaseModel], Fit]] = {
    "early": (EarlyConfig, cast(Fit, fit_early)),
    "late": (LateConfig, cast(Fit, fit_late)),
}

__all__ = ["FUSIONS", "EarlyConfig", "Fused", "FusionConfig", "LateConfig", "fit"]


def fit(config: EarlyConfig | LateConfig, inputs: Inputs, seed: int, log: Log) -> Fused:
    """Trains the strategy that the config names."""
    return FUSIONS[config.name][1](config, inputs, seed, log)
