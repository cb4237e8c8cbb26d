"""What differs between a CPU and a GPU: precision, memory that runs out, transfers, compilation, utilisation.

A GPU computes matrix products in bfloat16 (float16 where it has none), a CPU in float32, unless an encoder's
config says `precision: float32`: features of the two kinds agree to about two digits, not to the bit.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


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
