"""Fusion strategies, one file each; `FUSIONS` names them all."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from blended.fusion.inputs import Inputs
from blended.fusion.run import Run
from blended.fusion.strategies.applied import Apply
from blended.fusion.strategies.cross_attention import (
    CrossAttentionConfig,
    apply_cross_attention,
    fit_cross_attention,
)
from blended.fusion.strategies.early import EarlyConfig, apply_early, fit_early
from blended.fusion.strategies.fused import Fit, Fused
from blended.fusion.strategies.gated import GatedConfig, apply_gated, fit_gated
from blended.fusion.strategies.hicmae import HiCMAEFusionConfig, apply_hicmae, fit_hicmae
from blended.fusion.strategies.late import LateConfig, apply_late, fit_late
from blended.fusion.strategies.subsampled import SubsampledConfig, apply_subsampled, fit_subsampled

FusionConfig = Annotated[
    EarlyConfig | LateConfig | GatedConfig | CrossAttentionConfig | SubsampledConfig | HiCMAEFusionConfig,
    Field(discriminator="name"),
]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to fuse."""

    config: type[BaseModel]
    reads: Literal["vectors", "sequences", "media"]
    """One pooled vector per clip and encoder, the steps over time, or the clips themselves."""
    fit: Fit
    apply: Apply


FUSIONS: dict[str, Strategy] = {
    "early": Strategy(EarlyConfig, "vectors", fit_early, apply_early),
    "late": Strategy(LateConfig, "vectors", fit_late, apply_late),
    "gated": Strategy(GatedConfig, "vectors", fit_gated, apply_gated),
    "subsampled": Strategy(SubsampledConfig, "sequences", fit_subsampled, apply_subsampled),
    "cross-attention": Strategy(
        CrossAttentionConfig, "sequences", fit_cross_attention, apply_cross_attention
    ),
    "hicmae": Strategy(HiCMAEFusionConfig, "media", fit_hicmae, apply_hicmae),
}

__all__ = [
    "FUSIONS",
    "CrossAttentionConfig",
    "EarlyConfig",
    "Fused",
    "FusionConfig",
    "GatedConfig",
    "HiCMAEFusionConfig",
    "LateConfig",
    "Strategy",
    "SubsampledConfig",
    "fit",
]


def fit(config: FusionConfig, inputs: Inputs, seed: int, run: Run) -> Fused:
    """Trains the strategy that the config names."""
    return FUSIONS[config.name].fit(config, inputs, seed, run)
