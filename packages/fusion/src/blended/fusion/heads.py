"""Linear and MLP heads of many models at once.

M models (folds, seeds), B clips, D input width, H hidden width, E emotions. Every parameter has M as its
first dimension, so one batched product does the work of M models, and each model's numbers are those it
would have alone.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

Parameters = dict[str, Tensor]


def initial_parameters(
    dim: int, hidden: int, num_emotions: int, seeds: Sequence[int], device: torch.device
) -> Parameters:
    """Uniform in +-1/sqrt(fan in), as torch.nn.Linear; model m depends on `seeds[m]` alone.

    `hidden` = 0 makes a linear head, else Linear-ReLU-Linear.
    """
    widths = [dim, num_emotions] if hidden == 0 else [dim, hidden, num_emotions]
    stacked: dict[str, list[Tensor]] = {}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
            bound = fan_in**-0.5
            for name, shape in ((f"weight{layer}", (fan_in, fan_out)), (f"bias{layer}", (1, fan_out))):
                value = (torch.rand(shape, generator=generator) * 2 - 1) * bound
                stacked.setdefault(name, []).append(value)
    return {name: torch.stack(values).to(device) for name, values in stacked.items()}


def forward(parameters: Parameters, x_MBD: Float[Tensor, "M B D"]) -> Float[Tensor, "M B E"]:
    """Logits of every model for its own clips."""
    hidden_MBH = torch.baddbmm(parameters["bias0"], x_MBD, parameters["weight0"])
    if "weight1" not in parameters:
        return hidden_MBH
    return torch.baddbmm(parameters["bias1"], hidden_MBH.relu(), parameters["weight1"])
