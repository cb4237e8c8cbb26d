"""Forward passes of many models at once, and the gradients of their losses.

A models, B clips per model. One model runs by itself; several through `torch.func.vmap`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.func import functional_call, vmap

from blended.fusion.network import Network, Outputs
from blended.fusion.optimiser import Parameters
from blended.fusion.sources import Source

PASSING = ("parts", "steps", "valid")
"""Outputs that only the loss wants; their widths differ from batch to batch."""
OF_A_LENGTH = 64
"""Clips per model that are predicted together, where they are sorted by their lengths."""


def per_model(function: Callable[..., Any], num_models: int) -> Callable[..., Any]:
    """The function of one model's tensors as one of stacked tensors.

    One model does without vmap: some fast kernels, as those of attention, have no version under it.
    """
    if num_models > 1:
        return vmap(function)

    def alone(*stacked: Any) -> Any:
        return _mapped(lambda value: value.unsqueeze(0), function(*_mapped(lambda value: value[0], stacked)))

    return alone


def _mapped(change: Callable[[Tensor], Tensor], nested: Any) -> Any:
    """Every tensor in tuples and dictionaries changed."""
    if isinstance(nested, Tensor):
        return change(nested)
    if isinstance(nested, Mapping):
        return {key: _mapped(change, value) for key, value in nested.items()}
    return tuple(_mapped(change, value) for value in nested)


def autocast(amp: str, device: torch.device) -> torch.autocast:
    """bfloat16 for the forward pass, where asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp == "bfloat16")


def forward(network: Network, parameters: Mapping[str, Tensor], *given: Any) -> Outputs:
    """One model's outputs with the parameters given instead of its own."""
    return functional_call(network, dict(parameters), given)


@torch.no_grad()
def outputs_of(
    network: Network,
    parameters: Parameters,
    source: Source,
    models: Int[Tensor, "A"],
    rows_AB: Int[Tensor, "A B"],
    amp: str,
) -> Outputs:
    """Outputs [A, B, ...] without randomness, a few clips at a time, save what only the loss wants.

    Clips of different lengths are taken in the order of their lengths, so that little is padded.
    """
    run = per_model(lambda given, batch: forward(network, given, batch), len(models))
    lengths = source.lengths(rows_AB)
    at_once = network.clips_at_once if lengths is None else min(network.clips_at_once, OF_A_LENGTH)
    order = None if lengths is None else lengths.argsort(dim=1, stable=True)
    chunks: list[Outputs] = []
    for rows in (rows_AB if order is None else rows_AB.gather(1, order)).split(at_once, dim=1):
        with autocast(amp, rows.device):
            outputs = run(parameters, source.batch(models, rows))
        chunks.append({key: value.float() for key, value in outputs.items() if key not in PASSING})
    whole = {key: torch.cat([chunk[key] for chunk in chunks], dim=1) for key in chunks[0]}
    if order is None:
        return whole
    back = order.argsort(dim=1)
    return {key: chosen(value, back) for key, value in whole.items()}


def predictions_of(network: Network, outputs: Outputs) -> dict[str, Tensor]:
    """`emotions` and, where there are, `states` and `gates`: probabilities, or intensities."""
    wanted = {"emotions": network.scores.probabilities(outputs)}
    if "log_p_states" in outputs:
        wanted["states"] = outputs["log_p_states"].exp()
    if "gates" in outputs:
        wanted["gates"] = outputs["gates"]
    return wanted


def chosen(values: Tensor, places_AB: Int[Tensor, "A B"]) -> Tensor:
    """[A, B, ...]: for every model some of its clips, in an order of its own."""
    shape = (*places_AB.shape, *(1 for _ in values.shape[2:]))
    return values.take_along_dim(places_AB.view(shape), dim=1)
