"""Combining what several models say: equal or learned convex weights, or a model on top (stacking).

Fitted on predictions for clips of which no model that made them saw an actor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from blended.data.labels import Task
from blended.fusion.losses import kl_to_soft_labels

Kind = Literal["learned", "equal", "stacking"]

SMALLEST = 1e-6
"""Probabilities below count as this much."""
STACKING_PENALTY = 0.01
"""Of the squared distance of the stacked weights from the plain mean of log-probabilities."""


@dataclass(frozen=True, slots=True, eq=False)
class Combiner:
    """A fitted combination of encoders."""

    kind: Kind
    weights: Float[np.ndarray, "encoder"]
    """What each encoder counts for, at least 0, together 1; of a stacked model, the mean over emotions."""
    task: Task
    stacked: Mapping[str, Tensor] = field(default_factory=dict)
    """`weight` [encoder, emotion, emotion] and `bias` [emotion], for stacking."""

    def __call__(
        self,
        predicted: Float[np.ndarray, "encoder clip column"],
        present: Bool[np.ndarray, "encoder clip"],
    ) -> Float[np.ndarray, "clip column"]:
        """What the encoders that a clip has say together; a column may be an emotion or a label state.

        A clip of which every encoder has weight 0 is judged by the plain mean of those it has; one without
        any encoder by what all say of the unknown.
        """
        present = np.where(present.any(axis=0), present, True)
        weights = self.weights[:, None] * present
        weights = np.where(weights.sum(axis=0) > 0, weights, present)
        mean = np.einsum("ec,ecx->cx", weights / weights.sum(axis=0).clip(min=1e-12), predicted)
        if not self.stacked:
            return mean
        # A missing encoder is taken to say what the others say.
        filled = np.where(present[..., None], predicted, mean)
        with torch.no_grad():
            return _stack(self.stacked, torch.from_numpy(filled), self.task).numpy()

    @property
    def state(self) -> dict[str, Tensor]:
        """For a safetensors file; `read_combiner` is the inverse."""
        return {"weights": torch.from_numpy(self.weights)} | {
            f"stacked.{name}": value for name, value in self.stacked.items()
        }


def read_combiner(kind: Kind, task: Task, state: Mapping[str, Tensor]) -> Combiner:
    """A combiner from its state."""
    stacked = {key: state[f"stacked.{key}"] for key in ("weight", "bias") if f"stacked.{key}" in state}
    return Combiner(kind, state["weights"].double().numpy(), task, stacked)


def fit_combiner(
    kind: Kind,
    top: int | None,
    predicted: Float[np.ndarray, "encoder clip emotion"],
    present: Bool[np.ndarray, "encoder clip"],
    targets: Float[Tensor, "clip emotion"],
    task: Task,
) -> Combiner:
    """Fitted on the clips that have every encoder; on all of them where there are none.

    `top` keeps the encoders with the smallest loss by themselves (the first, on a tie); the others weigh 0.
    """
    whole = present.all(axis=0)
    rows = np.flatnonzero(whole) if whole.any() else np.arange(present.shape[1])
    p = torch.from_numpy(predicted[:, rows])
    truth = targets[torch.as_tensor(rows, device=targets.device)].cpu().double()
    loss = _loss(task)
    alone = torch.stack([loss(one, truth) for one in p])
    kept = torch.argsort(alone, stable=True)[: top or len(p)].sort().values
    weights = np.zeros(len(p))
    if kind == "stacking":
        stacked = _fit_stacked(p[kept], truth, task)
        whole_weight = torch.zeros(len(p), *stacked["weight"].shape[1:], dtype=torch.double)
        whole_weight[kept] = stacked["weight"]
        share = whole_weight.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=0)
        weights[:] = (share / share.sum().clamp(min=1e-12)).numpy()
        return Combiner(kind, weights, task, {"weight": whole_weight, "bias": stacked["bias"]})
    weights[kept.numpy()] = (
        _fit_convex(p[kept], truth, loss) if kind == "learned" else np.full(len(kept), 1 / len(kept))
    )
    return Combiner(kind, weights, task)


def _loss(task: Task) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean loss of probabilities, or of intensities."""
    if task == "intensities":
        # In shares of the variance, so that a penalty weighs alike whatever the intensities vary by.
        return lambda predicted, truth: (predicted - truth).square().mean() / truth.var().clamp(min=SMALLEST)
    return lambda predicted, truth: kl_to_soft_labels(predicted.clamp(min=1e-12).log(), truth).mean()


def _fit_convex(
    p: Float[Tensor, "encoder clip emotion"], truth: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> Float[np.ndarray, "encoder"]:
    """Weights >= 0 that add up to 1 and minimise the loss of the weighted mean."""
    free = torch.zeros(len(p), dtype=p.dtype, requires_grad=True)
    _minimise([free], lambda: loss(torch.einsum("e,ecx->cx", free.softmax(dim=0), p), truth))
    return free.detach().softmax(dim=0).numpy()


def _fit_stacked(p: Float[Tensor, "encoder clip emotion"], truth: Tensor, task: Task) -> dict[str, Tensor]:
    """A linear model on all encoders' log-probabilities (intensities), drawn towards their mean."""
    num_encoders, _, num_emotions = p.shape
    start = torch.eye(num_emotions, dtype=p.dtype).expand(num_encoders, -1, -1) / num_encoders
    weight = start.clone().requires_grad_(True)
    bias = torch.zeros(num_emotions, dtype=p.dtype, requires_grad=True)
    loss = _loss(task)

    def penalised() -> Tensor:
        away = (weight - start).square().sum() + bias.square().sum()
        return loss(_stack({"weight": weight, "bias": bias}, p, task), truth) + STACKING_PENALTY * away

    _minimise([weight, bias], penalised)
    return {"weight": weight.detach(), "bias": bias.detach()}


def _stack(
    stacked: Mapping[str, Tensor], p: Float[Tensor, "encoder clip emotion"], task: Task
) -> Float[Tensor, "clip emotion"]:
    given = p if task == "intensities" else p.clamp(min=SMALLEST).log()
    scores = torch.einsum("ecx,exy->cy", given, stacked["weight"]) + stacked["bias"]
    return scores.clamp(0, 1) if task == "intensities" else scores.softmax(dim=-1)


def _minimise(free: list[Tensor], value: Callable[[], Tensor]) -> None:
    optimiser = torch.optim.LBFGS(free, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = value()
        loss.backward()
        return loss

    optimiser.step(closure)
