"""Late fusion: one model per encoder, their probabilities averaged with convex weights."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.fusion.inputs import Inputs
from blended.fusion.losses import kl_to_soft_labels
from blended.fusion.nested import Nested, inner_fold, train_nested
from blended.fusion.per_actor import standardise_per_actor
from blended.fusion.strategies.early import chosen_epochs, final_state
from blended.fusion.strategies.fused import Fused, Standardise
from blended.fusion.training import Log, TrainingConfig


class LateConfig(BaseModel):
    """Weighted mean of probabilities."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["late"] = "late"
    features: tuple[str, ...] = Field(min_length=1)
    """Encoders; each gets a model of its own."""
    standardise: Standardise = "training"
    weights: Literal["learned", "equal"] = "learned"
    """`learned`: convex weights that minimise the loss on inner folds."""
    training: TrainingConfig = TrainingConfig()


def fit_late(config: LateConfig, inputs: Inputs, seed: int, log: Log) -> Fused:
    """Trains one head per fold and encoder, then the weights, per fold on its inner fold alone.

    The weights for fold k come from the probes' predictions for k's inner fold, so neither they nor the
    models saw a label of fold k. The final model's weights come from all out-of-fold predictions.
    """
    parts = {
        name: train_nested(_features(config, inputs, name), inputs, config.training, seed, log)
        for name in config.features
    }
    out_of_fold = np.stack([part.out_of_fold for part in parts.values()])
    weights = _weights_per_fold(config, parts, inputs)
    final_weights = _convex(config, out_of_fold, inputs.targets)
    per_clip = np.stack([weights[int(fold)] for fold in inputs.folds], axis=1)
    fitted: dict[str, float] = {}
    state: dict[str, Tensor] = {"weights": torch.as_tensor(final_weights)}
    for number, (name, part) in enumerate(parts.items()):
        fitted |= chosen_epochs(part, f"{name}/")
        fitted |= {f"{name}/weight/fold{fold}": float(w[number]) for fold, w in weights.items()}
        fitted[f"{name}/weight/final"] = float(final_weights[number])
        state |= final_state(part, f"{name}/")
    return Fused(
        out_of_fold=np.einsum("mn,mne->ne", per_clip, out_of_fold),
        test=np.einsum("m,mne->ne", final_weights, np.stack([part.test for part in parts.values()])),
        fitted=fitted,
        state=state,
    )


def _features(config: LateConfig, inputs: Inputs, name: str) -> Float[Tensor, "clip _"]:
    x_ND = inputs.features[name]
    return standardise_per_actor(x_ND, inputs.actors) if config.standardise == "actor" else x_ND


def _weights_per_fold(
    config: LateConfig, parts: dict[str, Nested], inputs: Inputs
) -> dict[int, Float[np.ndarray, "encoder"]]:
    folds: list[int] = sorted(set(inputs.folds.tolist()))
    inner = np.stack([part.inner for part in parts.values()])
    weights: dict[int, Float[np.ndarray, "encoder"]] = {}
    for fold in folds:
        rows = np.flatnonzero(inputs.folds == inner_fold(fold, folds))
        weights[fold] = _convex(config, inner[:, rows], inputs.targets[torch.as_tensor(rows)])
    return weights


def _convex(
    config: LateConfig, probabilities: Float[np.ndarray, "encoder clip emotion"], targets: Tensor
) -> Float[np.ndarray, "encoder"]:
    """Weights >= 0 that add up to 1 and minimise KL(target || weighted mean)."""
    num_encoders = len(probabilities)
    if config.weights == "equal" or num_encoders == 1:
        return np.full(num_encoders, 1 / num_encoders)
    p = torch.as_tensor(probabilities).clamp(min=1e-12)
    free = torch.zeros(num_encoders, dtype=p.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([free], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        mixed = torch.einsum("m,mne->ne", free.softmax(dim=0), p)
        value = kl_to_soft_labels(mixed.log(), targets.cpu().to(p.dtype)).mean()
        value.backward()
        return value

    optimiser.step(loss)
    return free.detach().softmax(dim=0).numpy()
