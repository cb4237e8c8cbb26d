"""Sizes and options that the networks share. Plain records: reading a configuration needs no torch."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt


def _as_pair(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


Pair = Annotated[tuple[PositiveInt, PositiveInt], BeforeValidator(_as_pair)]
"""Two lengths along (height, width) or (time, frequency); one number stands for both."""

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
"""The share of values or branches that training drops, from 0 to below 1; nothing is dropped in eval mode."""


class BlockConfig(BaseModel):
    """What all transformer blocks of one network have in common (HiCMAE and VideoMAEv2)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mlp_ratio: PositiveFloat = 4.0
    """Hidden width of the MLP over the width of the block; the product is cut to an integer."""
    qkv_bias: bool = True
    """Learned biases on queries and values (keys never have one)."""
    qk_scale: float | None = None
    """Factor on the attention logits; None or 0 stand for 1 / sqrt(width of a head)."""
    drop_rate: Rate = 0.0
    """Dropout after the attention projection and after the MLP."""
    attn_drop_rate: Rate = 0.0
    """Dropout on the attention weights."""
    drop_path_rate: Rate = 0.0
    """Share of residual branches dropped in the last block, rising linearly from 0 in the first."""
    init_values: float = Field(default=0.0, ge=0.0)
    """Initial layer scale; 0 for none."""
    norm_eps: PositiveFloat = 1e-6
    """Added to the variance in every LayerNorm."""

    def drop_path_rates(self, depth: int) -> list[float]:
        """The rate of each of `depth` blocks.

        >>> BlockConfig(drop_path_rate=0.2).drop_path_rates(3)
        [0.0, 0.1, 0.2]
        """
        return [self.drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]
