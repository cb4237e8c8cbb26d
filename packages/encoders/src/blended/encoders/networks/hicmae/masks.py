"""Which tokens are hidden in pre-training.

A mask is True where a token is hidden. Every row of a batch hides the same number of tokens, so that what is
left can be stacked. B batch, N tokens, V visible tokens, M masked tokens, D width.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from blended.data.errors import InputError

VIDEO_RATIO = 0.9
AUDIO_RATIO = 0.8


def tube_mask(
    batch_size: int,
    grid: tuple[int, int, int],
    ratio: float = VIDEO_RATIO,
    generator: torch.Generator | None = None,
) -> Bool[Tensor, "batch tokens"]:
    """Hides the same random positions in every time step, so that no neighbour in time gives them away.

    `grid` is tokens along (time, height, width); in each step int(ratio * height * width) positions are
    hidden. Raises InputError unless 0 <= ratio < 1.
    """
    time, height, width = grid
    return random_mask(batch_size, height * width, ratio, generator).repeat(1, time)


def random_mask(
    batch_size: int, num_tokens: int, ratio: float = AUDIO_RATIO, generator: torch.Generator | None = None
) -> Bool[Tensor, "batch tokens"]:
    """Hides int(ratio * num_tokens) random tokens in each row; raises InputError unless 0 <= ratio < 1."""
    return hidden_of_draws(torch.rand(batch_size, num_tokens, generator=generator), ratio)


def hidden_of_draws(draws_BN: Float[Tensor, "batch tokens"], ratio: float) -> Bool[Tensor, "batch tokens"]:
    """The same from random numbers that were drawn elsewhere, where they are."""
    if not 0 <= ratio < 1:
        raise InputError(f"mask ratio {ratio}: give a share of the tokens from 0 to below 1")
    return draws_BN.argsort(dim=1) < int(ratio * draws_BN.shape[1])


def split_indices(
    mask_BN: Bool[Tensor, "batch tokens"],
) -> tuple[Int[Tensor, "batch visible"], Int[Tensor, "batch masked"]]:
    """Positions of the visible and of the masked tokens, each in ascending order.

    Raises InputError where the rows hide different numbers of tokens.
    """
    num_masked_B = mask_BN.sum(dim=1)
    low, high = (int(count) for count in num_masked_B.aminmax())
    if low != high:
        raise InputError(
            f"a row of the batch hides {low} tokens and another {high}; every row must hide as many: "
            "make masks with tube_mask or random_mask"
        )
    order_BN = mask_BN.to(torch.uint8).argsort(dim=1, stable=True)
    num_visible = mask_BN.shape[1] - low
    return order_BN[:, :num_visible], order_BN[:, num_visible:]


def take(
    x_BND: Float[Tensor, "batch tokens dim"], index_BV: Int[Tensor, "batch chosen"]
) -> Float[Tensor, "batch chosen dim"]:
    """The tokens at the given positions of each row."""
    return x_BND.gather(1, index_BV[:, :, None].expand(-1, -1, x_BND.shape[2]))
