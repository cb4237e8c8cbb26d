"""One training on several processes, each with its part of every batch.

Draws are made for whole batches and every process takes its own columns, so that several processes train as
one does with the same batches, up to the order of sums.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from blended.data.errors import InputError


@dataclass(frozen=True, slots=True)
class Parallel:
    """The place of this process among all."""

    rank: int = 0
    """From 0."""
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def columns(self, batch_size: int) -> slice:
        """This process's part of a batch; raises InputError where processes would differ in size."""
        if batch_size % self.count:
            raise InputError(
                f"batches of {batch_size} clips cannot be shared evenly by {self.count} processes: choose a "
                f"multiple"
            )
        each = batch_size // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    @torch.no_grad()
    def add_up(self, tensors: Iterable[Tensor | None]) -> None:
        """Replaces every tensor by its sum over processes, all of them in one message."""
        given = [tensor for tensor in tensors if tensor is not None]
        if self.count == 1 or not given:
            return
        flat = torch.cat([tensor.flatten() for tensor in given])
        distributed.all_reduce(flat)
        at = 0
        for tensor in given:
            tensor.copy_(flat[at : at + tensor.numel()].view_as(tensor))
            at += tensor.numel()

    def gathered(self, x: Float[Tensor, "*rows"]) -> Float[Tensor, "*all_rows"]:
        """The rows of all processes, one after the other; gradients go back to where they belong."""
        if self.count == 1:
            return x
        gathered: Any = _Gathered.apply(x, self.rank, self.count)
        return gathered


class _Gathered(torch.autograd.Function):
    """`distributed.all_gather` with gradients: of a row, the sum over processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rank: int, count: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.rank, ctx.num_rows = rank, len(x)
        parts = [torch.empty_like(x) for _ in range(count)]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.rank * ctx.num_rows : (ctx.rank + 1) * ctx.num_rows], None, None


ALONE = Parallel()


@contextmanager
def joined_processes(environment: Mapping[str, str], device: str) -> Generator[tuple[Parallel, str]]:
    """The group that torchrun started, and this process's device; this process alone without torchrun."""
    count = int(environment.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE, device
        return
    own = f"cuda:{environment['LOCAL_RANK']}" if device.startswith("cuda") else device
    if own.startswith("cuda"):
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if own.startswith("cuda") else "gloo")
    try:
        yield Parallel(distributed.get_rank(), distributed.get_world_size()), own
    finally:
        distributed.destroy_process_group()
