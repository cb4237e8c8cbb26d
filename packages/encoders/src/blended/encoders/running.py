"""Running a network without gradients, on batches of its own size."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from blended.encoders.device import to_device

if TYPE_CHECKING:
    from torch import Tensor, nn

Precision = Literal["as-device", "float32"]
"""Of the matrix products: what the loop chooses for the kind of device (half precision on a GPU, which
changes features in their third digit), or float32 everywhere."""

RANDOM_SEED = 0
"""Of untrained networks."""


@contextmanager
def running(device: str, precision: Precision) -> Generator[None]:
    """No gradients; products in `precision`."""
    import torch

    kind = torch.device(device).type
    exact = torch.autocast(kind, enabled=False) if precision == "float32" else nullcontext()
    with torch.inference_mode(), exact:
        yield


@contextmanager
def seeded() -> Generator[None]:
    """Untrained networks are always the same, and nobody else's random numbers change."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        yield


def ready(network: "nn.Module", device: str) -> "nn.Module":
    """The network on its device, in evaluation mode, without gradients."""
    return network.eval().requires_grad_(False).to(device)


def num_parameters(network: "nn.Module") -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def rebatched(pieces: Iterable["Tensor"], size: int) -> Iterator["Tensor"]:
    """The rows of all pieces, `size` at a time, whatever the pieces' lengths."""
    import torch

    waiting: list[Tensor] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        while count >= size:
            joined = torch.cat(waiting)
            yield joined[:size]
            waiting, count = [joined[size:]], count - size
    if count:
        yield torch.cat(waiting)


def encode_rows(
    items: Sequence["Tensor"],
    function: Callable[["Tensor"], "Tensor"],
    *,
    size: int,
    device: str,
    precision: Precision,
) -> list[NDArray[np.float32]]:
    """`function` over the rows of all items, `size` rows at a time; [rows, dim] for each item.

    Rows go to the device as they are, so `function` may begin with work that is cheaper there.
    """
    import torch

    with running(device, precision):
        rows = rebatched(items, size)
        encoded = torch.cat([function(to_device(batch, device)).float().cpu() for batch in rows])
    ends = np.cumsum([len(item) for item in items])[:-1]
    return [np.ascontiguousarray(part) for part in np.split(encoded.numpy(), ends)]
