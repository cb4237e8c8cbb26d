"""A clip's answer is its own: whatever stands beside it in a batch, in whatever order, and however long."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from blended.fusion.modules.streams import StreamShape
from blended.fusion.strategies.cross_attention import KINDS

SHAPES = {"audio": StreamShape(5, 8.0), "video": StreamShape(3, 5.0)}
MOST = 12

Lengths = st.lists(st.tuples(st.integers(0, MOST), st.integers(0, MOST)).filter(any), min_size=2, max_size=5)
"""Steps of sound and of picture of every clip; 0 for a stream that is not there."""


def batch_of(lengths: list[tuple[int, int]], contents: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Padded to the longest, with what would be read there if anybody did."""
    batch = {"present": torch.tensor([[count > 0 for count in clip] for clip in lengths])}
    for place, (name, shape) in enumerate(SHAPES.items()):
        longest = max(1, *(clip[place] for clip in lengths))
        values = torch.zeros(len(lengths), longest, shape.dim)
        valid = torch.zeros(len(lengths), longest, dtype=torch.bool)
        for row, clip in enumerate(lengths):
            values[row, : clip[place]] = contents[row][name][: clip[place]]
            valid[row, : clip[place]] = True
        batch |= {name: values, f"{name}.valid": valid}
    return batch


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(lengths=Lengths)
def test_a_clip_has_one_answer_in_every_batch(kind: str, lengths: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    module = KINDS[kind](SHAPES, 8, 2, 2, 0.0).eval()  # type: ignore[index]
    contents = [{n: torch.randn(MOST, s.dim) for n, s in SHAPES.items()} for _ in lengths]
    with torch.no_grad():
        together = module(batch_of(lengths, contents))["z"]
        turned = module(batch_of(lengths[::-1], contents[::-1]))["z"].flip(0)
        torch.testing.assert_close(turned, together, rtol=1e-5, atol=1e-5)
        for row, (clip, content) in enumerate(zip(lengths, contents, strict=True)):
            alone = module(batch_of([clip], [content]))["z"][0]
            torch.testing.assert_close(alone, together[row], rtol=1e-5, atol=1e-5)
