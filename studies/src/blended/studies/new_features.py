"""Features of new clips: a row per clip, or steps over time, as the strategy of a run reads them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from blended.data.features import Features as Steps
from blended.fusion.sequences import Sequences, chosen, joined, pack

Features = Mapping[str, Tensor | Sequences]
"""Encoder name -> [clip, pooled], or the steps of every clip."""


def of_steps(steps: Mapping[str, Sequence[Steps]], device: str) -> dict[str, Tensor | Sequences]:
    """Features over time of some clips."""
    return {
        name: pack([one.values for one in given], given[0].rate_hz, device) for name, given in steps.items()
    }


def num_clips(features: Features) -> int:
    """How many clips there are features of."""
    first = next(iter(features.values()))
    return len(first) if isinstance(first, Tensor) else len(first.lengths_N)


def stacked(parts: Sequence[Features]) -> dict[str, Tensor | Sequences]:
    """The clips of all parts, which have the same encoders."""
    return {name: _stacked([part[name] for part in parts]) for name in parts[0]}


def taken(features: Features, rows: Sequence[int]) -> dict[str, Tensor | Sequences]:
    """Some of the clips, in the order given."""
    return {
        name: given[list(rows)] if isinstance(given, Tensor) else chosen(given, rows)
        for name, given in features.items()
    }


def _stacked(parts: Sequence[Tensor | Sequences]) -> Tensor | Sequences:
    vectors = [part for part in parts if isinstance(part, Tensor)]
    if vectors:
        return torch.cat(vectors)
    return joined([part for part in parts if isinstance(part, Sequences)])
