"""Fusion strategies; `FUSIONS` names them all."""

from typing import Annotated

from pydantic import Field

from blended.data import InputError
from blended.data.errors import unknown_name
from blended.fusion.hicmae.finetuning import HICMAE, HiCMAEFusionConfig
from blended.fusion.inputs import Inputs
from blended.fusion.reading import SEQUENCES, VECTORS
from blended.fusion.run import Surroundings
from blended.fusion.strategies.cross_attention import (
    CrossAttentionConfig,
    apply_cross_attention,
    fit_cross_attention,
)
from blended.fusion.strategies.early import EarlyConfig, apply_early, fit_early
from blended.fusion.strategies.gated import GatedConfig, apply_gated, fit_gated
from blended.fusion.strategies.late import LateConfig, apply_late, fit_late
from blended.fusion.strategies.subsampled import SubsampledConfig, apply_subsampled, fit_subsampled
from blended.fusion.strategy import Applied, Fused, NewClips, State, Strategy

FusionConfig = Annotated[
    EarlyConfig | LateConfig | GatedConfig | CrossAttentionConfig | SubsampledConfig | HiCMAEFusionConfig,
    Field(discriminator="name"),
]

FUSIONS: dict[str, Strategy] = {
    "early": Strategy(EarlyConfig, VECTORS, fit_early, apply_early),
    "late": Strategy(LateConfig, VECTORS, fit_late, apply_late),
    "gated": Strategy(GatedConfig, VECTORS, fit_gated, apply_gated),
    "subsampled": Strategy(SubsampledConfig, SEQUENCES, fit_subsampled, apply_subsampled),
    "cross-attention": Strategy(CrossAttentionConfig, SEQUENCES, fit_cross_attention, apply_cross_attention),
    "hicmae": HICMAE,
}


def fit(config: FusionConfig, inputs: Inputs, seed: int, run: Surroundings) -> Fused:
    """Trains the strategy that the config names."""
    return FUSIONS[config.name].fit(config, inputs, seed, run)


def apply_final(config: FusionConfig, state: State, clips: NewClips) -> Applied:
    """Probabilities of a trained strategy's final model for clips of which there is something to read.

    Raises InputError where nothing is there to decide from, and for features of another width than it was
    trained on.
    """
    if config.name not in FUSIONS:
        raise unknown_name("strategy", config.name, FUSIONS)
    strategy = FUSIONS[config.name]
    if not clips.features:
        wanted = ", ".join(strategy.reads.tracks or config.features)
        raise InputError(f"no features to decide from, expected those of {wanted}")
    return strategy.apply(config, state, clips)
