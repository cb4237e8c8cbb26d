"""What every strategy gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from blended.fusion.inputs import Inputs
from blended.fusion.nested import FINAL, Nested
from blended.fusion.run import Run
from blended.fusion.sources import Change

Standardise = Literal["training", "actor"]
"""What features are standardised over: the training part, or before that each actor's own clips, which is
label-free but transductive."""


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """Probabilities (intensities, if that is the task) and the final model."""

    out_of_fold: Float[np.ndarray, "train emotion"]
    """Every training clip, by a model that saw no actor of its fold."""
    inner: Float[np.ndarray, "train emotion"]
    """Every training clip, by a model that saw neither an actor of its fold nor one of the fold before: what
    choices for the fold before may be made on."""
    test: Float[np.ndarray, "test emotion"]
    """Every test clip, by the final model."""
    fitted: Mapping[str, float]
    """What was chosen on inner folds and is worth tracking: epochs, learning rates, late weights."""
    state: Mapping[str, Tensor]
    """The final model, by name, for a safetensors file."""
    changed: Callable[[Change], Float[np.ndarray, "train emotion"]]
    """`out_of_fold` with features taken away or shuffled among clips, without training anew."""
    states: Float[np.ndarray, "train state"] | None = None
    """Probabilities of the label states, where the head gives them."""
    test_states: Float[np.ndarray, "test state"] | None = None
    gates: Mapping[str, Float[np.ndarray, "train"]] = field(default_factory=dict)
    """What each encoder counted for in every clip, where the strategy says so; adds up to 1."""


Fit = Callable[[Any, Inputs, int, Run], Fused]
"""(config, inputs, seed, run) -> Fused."""


def fused(nested: Nested, inputs: Inputs, gated: tuple[str, ...] = ()) -> Fused:
    """What one nested training gives; `gated` names the columns of its gates."""
    num_test = len(inputs.clips) - inputs.num_train
    empty = np.zeros((num_test, len(inputs.space.emotions)))
    gates = nested.out_of_fold.get("gates")
    return Fused(
        out_of_fold=nested.out_of_fold["emotions"],
        inner=nested.inner["emotions"],
        test=nested.test.get("emotions", empty),
        fitted=choices(nested),
        state=nested.final_state,
        changed=lambda change: nested.changed(change)["emotions"],
        states=nested.out_of_fold.get("states"),
        test_states=nested.test.get("states"),
        gates={} if gates is None else {name: gates[:, place] for place, name in enumerate(gated)},
    )


def choices(nested: Nested, prefix: str = "") -> dict[str, float]:
    """Epochs and learning rate per fold and of the final model, for tracking."""
    chosen: dict[str, float] = {}
    for fold, choice in nested.choices.items():
        where = "final" if fold == FINAL else f"fold{fold}"
        chosen[f"{prefix}epochs/{where}"] = float(choice.epochs)
        chosen[f"{prefix}learning_rate/{where}"] = choice.learning_rate
    return chosen
