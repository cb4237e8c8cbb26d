"""Masks hide exactly their share."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blended.data.errors import InputError
from blended.encoders.networks.hicmae.pretrain import random_mask, split_indices, take, tube_mask


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.floats(0, 0.99), st.integers(0, 2**31))
def test_a_tube_mask_hides_the_same_positions_at_all_times(
    time: int, height: int, width: int, ratio: float, seed: int
) -> None:
    mask = tube_mask(3, (time, height, width), ratio, torch.Generator().manual_seed(seed))
    assert mask.shape == (3, time * height * width)
    steps = mask.reshape(3, time, height * width)
    assert torch.all(steps == steps[:, :1])
    assert torch.all(steps.sum(dim=2) == int(ratio * height * width))


def test_the_published_masks() -> None:
    video = tube_mask(2, (8, 10, 10))
    audio = random_mask(2, 128)
    assert video.sum(dim=1).tolist() == [720, 720]
    assert audio.sum(dim=1).tolist() == [102, 102]


def test_masks_differ_between_rows_and_repeat_with_the_seed() -> None:
    first = random_mask(8, 64, 0.5, torch.Generator().manual_seed(1))
    again = random_mask(8, 64, 0.5, torch.Generator().manual_seed(1))
    assert torch.equal(first, again)
    assert len({tuple(row.tolist()) for row in first}) == 8


def test_every_position_is_hidden_equally_often() -> None:
    share = random_mask(4000, 10, 0.8, torch.Generator().manual_seed(0)).float().mean(dim=0)
    torch.testing.assert_close(share, torch.full((10,), 0.8), atol=0.03, rtol=0)


@pytest.mark.parametrize("ratio", [-0.1, 1.0])
def test_a_ratio_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(
        InputError, match=rf"mask ratio {ratio}: give a share of the tokens from 0 to below 1"
    ):
        random_mask(2, 10, ratio)


def test_splitting_keeps_the_order_of_tokens() -> None:
    mask = random_mask(4, 12, 0.7, torch.Generator().manual_seed(0))
    x = torch.arange(48.0).reshape(4, 12, 1)
    visible, masked = split_indices(mask)
    torch.testing.assert_close(take(x, visible), x[~mask].reshape(4, -1, 1))
    torch.testing.assert_close(take(x, masked), x[mask].reshape(4, -1, 1))


def test_rows_that_hide_different_numbers_are_refused() -> None:
    mask = torch.tensor([[True, False, False], [True, True, False]])
    with pytest.raises(InputError, match="a row of the batch hides 1 tokens and another 2; every row"):
        split_indices(mask)
