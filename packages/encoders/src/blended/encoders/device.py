"""On what encoders compute, and how: threads, precision, memory that runs out, batches, utilisation.

A GPU computes matrix products in bfloat16 (float16 where it has none), a CPU in float32, unless an encoder
says `precision: float32`: features of the two kinds agree to about two digits, not to the bit. Sums that are
split over threads are rounded otherwise, and a shard must have the same bytes wherever and beside however
many workers it is computed: so a CPU computes on one thread.
"""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@contextmanager
def one_thread() -> Generator[None]:
    """Limits the BLAS and OpenMP libraries that are loaded, torch's own included; restored afterwards.

    Libraries that are imported within the block are not limited: build encoders before.
    """
    torch = sys.modules.get("torch")  # Looked up, not imported: video encoders need none.
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


class DeviceMemoryError(RuntimeError):
    """A batch did not fit into the device's memory."""


@contextmanager
def encoding_on(device: str) -> Generator[None]:
    """Around the encoding of a batch: without gradients, in the precision of the device's kind.

    Raises DeviceMemoryError when `device` runs out of memory.
    """
    torch = sys.modules.get("torch")  # Looked up, not imported: encoders without a network need none.
    if torch is None:
        yield
        return
    kind = torch.device(device).type
    half = torch.autocast(kind, autocast_dtype()) if kind == "cuda" else nullcontext()
    try:
        with torch.inference_mode(), half:
            yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(f"{device}: {str(error).splitlines()[0]}") from error


def autocast_dtype() -> "torch.dtype":
    """The type of matrix products on the GPU that is here."""
    import torch

    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def to_device(values: "torch.Tensor", device: str) -> "torch.Tensor":
    """The tensor there. To a GPU it is copied from pinned memory, beside what the GPU is doing."""
    if device.startswith("cuda") and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def compile_network(encoder: Any, device: str) -> bool:
    """Compiles an encoder's `network`, if it shows one and the device is no CPU; says whether it did.

    On a CPU compilation takes longer than it saves. Shapes are dynamic: every batch has its own length.
    """
    network = getattr(encoder, "network", None)
    if network is None or device == "cpu":
        return False
    network.compile(dynamic=True)
    return True


def utilisation_percent(device: str) -> int | None:
    """How busy a GPU was in the last moment, in percent; None for a CPU and where the driver does not say."""
    if not device.startswith("cuda"):
        return None
    import torch

    try:
        return int(torch.cuda.utilization(device))
    except (ImportError, RuntimeError):  # Without the driver's library there is nothing to ask.
        return None


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
