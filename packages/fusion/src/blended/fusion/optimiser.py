"""AdamW on stacked parameters: many models at once, each with its own steps, rate and schedule.

M models. Every parameter and moment has M as its first dimension.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from blended.fusion.config import TrainingConfig

Parameters = dict[str, Tensor]
"""Name -> [M, ...]."""

BETA1, EPSILON = 0.9, 1e-8


def rate_factor(config: TrainingConfig, epoch: float | int) -> float:
    """What the learning rate is multiplied with after `epoch` epochs, in [0, 1].

    >>> rate_factor(TrainingConfig(schedule="cosine", max_epochs=10), 5)
    0.5
    """
    factor = min(1.0, epoch / config.warmup_epochs) if config.warmup_epochs else 1.0
    if config.schedule == "cosine":
        factor *= 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / config.max_epochs)))
    return factor


@dataclass(slots=True, eq=False)
class AdamW:
    """AdamW (arXiv 1711.05101) on stacked parameters, with a step counter per model.

    torch.optim counts steps per tensor; here models of one tensor stop after different numbers of steps
    and must then stay exactly as they are.
    """

    parameters: Parameters
    """Leaves; those that learn require gradients."""
    rates_M: Float[Tensor, "M"]
    """Learning rate per model."""
    config: TrainingConfig
    scales: Mapping[str, float] = field(default_factory=dict)
    """Parameter -> factor of the learning rate; 1 where nothing is said (layer-wise decay)."""
    first: Parameters = field(default_factory=dict)
    second: Parameters = field(default_factory=dict)
    average: Parameters = field(default_factory=dict)
    """Moving average of the parameters; empty without `ema`."""
    steps_M: Float[Tensor, "M"] = field(default_factory=lambda: torch.zeros(0))

    def __post_init__(self) -> None:
        for name, value in self.parameters.items():
            # What is frozen needs no gradient, nor does anything below it; it is in no norm either.
            value.requires_grad_(self.scales.get(name, 1.0) != 0)
        if not self.first:
            self.first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
            self.second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
            self.steps_M = torch.zeros_like(self.rates_M)
        if self.config.ema and not self.average:
            self.average = {name: value.detach().clone() for name, value in self.parameters.items()}

    @property
    def predicting(self) -> Parameters:
        """The parameters that predict: the average where there is one."""
        return self.average or {name: value.detach() for name, value in self.parameters.items()}

    @torch.no_grad()
    def step(self, active_M: Bool[Tensor, "M"], factor_M: Float[Tensor, "M"]) -> None:
        """Updates the active models from `.grad`; the others, at weight 0, stay exactly as they are.

        In place and with one temporary: on a CPU these passes over memory are most of a step's time.
        """
        self._clip()
        active = active_M.to(self.rates_M.dtype)
        self.steps_M += active
        steps = self.steps_M.clamp(min=1)
        rates_M = self.rates_M * active * factor_M
        step_size_M, root_M = 1 / (1 - BETA1**steps), (1 - self.config.beta2**steps).sqrt()
        for name, value in self.parameters.items():
            gradient = value.grad
            if gradient is None:
                continue  # Frozen, or not part of this loss, as projections for a contrast that weighs 0.
            along, rate_M = _along(value), rates_M * self.scales.get(name, 1.0)
            first = self.first[name].lerp_(gradient, along((1 - BETA1) * active))
            second = self.second[name].lerp_(gradient.square_(), along((1 - self.config.beta2) * active))
            spread = torch.sqrt(second, out=gradient).div_(along(root_M)).add_(EPSILON)
            if value.ndim > 2 and self.config.weight_decay:
                value.mul_(1 - along(rate_M) * self.config.weight_decay)
            value.sub_(torch.div(first, spread, out=spread).mul_(along(rate_M * step_size_M)))
            value.grad = None
            if self.average:
                self.average[name].lerp_(value, along((1 - self.config.ema) * active))

    def _clip(self) -> None:
        if self.config.clip_norm is None:
            return
        gradients = [value.grad for value in self.parameters.values() if value.grad is not None]
        norm_M = torch.stack([g.flatten(1).square().sum(dim=1) for g in gradients]).sum(dim=0).sqrt()
        factor_M = (self.config.clip_norm / norm_M.clamp(min=1e-12)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(_along(gradient)(factor_M))

    def take(self, kept: Tensor) -> "AdamW":
        """The optimiser of some of the models, by their places."""
        parameters = {name: value.detach()[kept] for name, value in self.parameters.items()}
        part = {
            key: {name: value[kept] for name, value in getattr(self, key).items()}
            for key in ("first", "second", "average")
        }
        return AdamW(
            parameters, self.rates_M[kept], self.config, self.scales, **part, steps_M=self.steps_M[kept]
        )


def _along(like: Tensor) -> Callable[[Tensor], Tensor]:
    """Shapes [M] values so that they multiply a [M, ...] tensor."""
    shape = (-1, *(1 for _ in like.shape[1:]))
    return lambda value_M: value_M.view(shape)
