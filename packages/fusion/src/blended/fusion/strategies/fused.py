"""What every strategy gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from blended.fusion.attending import Attended, attended
from blended.fusion.inputs import Inputs
from blended.fusion.nested import FINAL, Nested, Predicted
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
    judged: Callable[[Change], Predicted]
    """`out_of_fold`, and `states` where there are, with features taken away or shuffled among clips, without
    training anew: `emotions` and `states`."""
    states: Float[np.ndarray, "train state"] | None = None
    """Probabilities of the label states, where the head gives them."""
    test_states: Float[np.ndarray, "test state"] | None = None
    gates: Mapping[str, Float[np.ndarray, "train"]] = field(default_factory=dict)
    """What each encoder counted for in every clip, where the strategy says so; adds up to 1."""
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Encoder -> `fold0`, ..., `final` -> what it counts for in all clips, where the strategy says so."""
    attended: Callable[[Sequence[int]], tuple[Attended, ...]] | None = None
    """How streams attended to each other in the training clips, where they did; given the clips whose
    attention is wanted step by step."""
    fitting: Float[np.ndarray, "fold train emotion"] | None = None
    """Strictly nested: for every fold, in their order, what its decision is fitted on: the other folds' clips
    by models that saw no label of it; its own clips as in `out_of_fold`. None under plain nesting, where
    decisions are fitted on `out_of_fold`."""
    fitting_states: Float[np.ndarray, "fold train state"] | None = None
    """Likewise, of `states`."""

    def changed(self, change: Change) -> Float[np.ndarray, "train emotion"]:
        """Probabilities of the emotions alone of `judged`."""
        return self.judged(change)["emotions"]


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
        judged=nested.changed,
        states=nested.out_of_fold.get("states"),
        test_states=nested.test.get("states"),
        gates={} if gates is None else {name: gates[:, place] for place, name in enumerate(gated)},
        attended=attention_of(nested),
        fitting=nested.fitting.get("emotions"),
        fitting_states=nested.fitting.get("states"),
    )


def attention_of(nested: Nested) -> Callable[[Sequence[int]], tuple[Attended, ...]] | None:
    """See `Fused.attended`; every clip by the models that did not train on its fold."""
    trained = nested.reported
    if not trained.network.fusion.attentions:
        return None
    return lambda examples: attended(trained, nested.clips_of_models, examples)


def choices(nested: Nested, prefix: str = "") -> dict[str, float]:
    """Epochs and learning rate per fold and of the final model, for tracking."""
    chosen: dict[str, float] = {}
    for fold, choice in nested.choices.items():
        where = "final" if fold == FINAL else f"fold{fold}"
        chosen[f"{prefix}epochs/{where}"] = float(choice.epochs)
        chosen[f"{prefix}learning_rate/{where}"] = choice.learning_rate
    return chosen
