"""Applying the stored final model of a strategy to features of new clips.

What a strategy's `fit` puts into `Fused.state`, the function of the same name in `APPLIERS` reads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from blended.data import InputError
from blended.data.errors import unknown_name
from blended.fusion.per_actor import standardise_per_actor
from blended.fusion.strategies import EarlyConfig, LateConfig
from blended.fusion.training import Standardiser, Trained

State = Mapping[str, Tensor]
Features = Mapping[str, Float[Tensor, "clip _"]]
"""Encoder name -> pooled features of the same clips; an encoder that could not be used is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What the final model says about new clips."""

    probabilities: Float[np.ndarray, "clip emotion"]
    """In the order of the label space; rows add up to 1."""
    weights: Mapping[str, float]
    """What every encoder that was used counted for, together 1; one entry `a+b` for a concatenation."""
    missing: tuple[str, ...]
    """Encoders of the strategy without features here; the weights of the others were scaled up."""
    strangeness: Mapping[str, Float[np.ndarray, "clip"]]
    """By the keys of `weights`: how far a clip lies from the training clips, as the root mean square of its
    standardised features. About 1 for clips like those, 0 or more."""


def apply_final(
    config: EarlyConfig | LateConfig, state: State, features: Features, actors: Sequence[str]
) -> Applied:
    """Probabilities of the final model for clips of which at least one encoder has features.

    `actors` says who is seen in every clip; a strategy that standardises per actor does so over the clips
    given. Raises InputError where the strategy needs an encoder that is not there, and for features of
    another width than it was trained on.
    """
    if config.name not in APPLIERS:
        raise unknown_name("strategy that can be applied to new clips", config.name, APPLIERS)
    if not features:
        raise InputError(f"no features to decide from, expected those of {', '.join(config.features)}")
    if config.standardise == "actor":
        features = {name: standardise_per_actor(x_ND, actors) for name, x_ND in features.items()}
    return APPLIERS[config.name](config, state, features)


def apply_early(config: EarlyConfig, state: State, features: Features) -> Applied:
    """One head on all features side by side."""
    if absent := [name for name in config.features if name not in features]:
        raise InputError(
            f"early fusion reads {', '.join(config.features)} side by side and cannot do without "
            f"{', '.join(absent)}: give a clip that has both sound and picture, or use a run with late fusion"
        )
    name = "+".join(config.features)
    probabilities, strangeness = _head(
        name, state, "", torch.cat([features[name] for name in config.features], dim=1)
    )
    return Applied(probabilities, {name: 1.0}, (), {name: strangeness})


def apply_late(config: LateConfig, state: State, features: Features) -> Applied:
    """One head per encoder; the convex weights of those that are there, scaled to add up to 1."""
    used = [name for name in config.features if name in features]
    given = {name: float(state["weights"][config.features.index(name)]) for name in used}
    total = sum(given.values())
    # An encoder that fusion gave no weight is all there is: it then answers alone.
    weights = {name: given[name] / total if total > 0 else 1 / len(used) for name in used}
    parts = {name: _head(name, state, f"{name}/", features[name]) for name in used}
    return Applied(
        probabilities=np.sum([weights[name] * parts[name][0] for name in used], axis=0),
        weights=weights,
        missing=tuple(name for name in config.features if name not in features),
        strangeness={name: parts[name][1] for name in used},
    )


APPLIERS: dict[str, Callable[[Any, State, Features], Applied]] = {"early": apply_early, "late": apply_late}


def _head(
    name: str, state: State, prefix: str, x_ND: Float[Tensor, "clip dim"]
) -> tuple[Float[np.ndarray, "clip emotion"], Float[np.ndarray, "clip"]]:
    """Probabilities and strangeness by one stored head, whose tensors have names with that prefix."""
    mean, spread = state[f"{prefix}mean"][None], state[f"{prefix}spread"][None]
    if x_ND.shape[1] != mean.shape[1]:
        raise InputError(
            f"the features of {name} have {x_ND.shape[1]} columns, but the model was trained on "
            f"{mean.shape[1]}: the encoder's settings differ from those of the run"
        )
    standardise = Standardiser(mean, spread)
    layers = ("weight0", "bias0", "weight1", "bias1")
    parameters = {key: state[f"{prefix}{key}"][None] for key in layers if f"{prefix}{key}" in state}
    probabilities = Trained(parameters, standardise, np.empty((1, 0))).predict(x_ND)[0]
    distance = standardise(x_ND[None])[0].square().mean(dim=1).sqrt()
    return probabilities, distance.double().cpu().numpy()
