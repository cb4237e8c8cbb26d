"""What every strategy gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor

from blended.fusion.inputs import Inputs
from blended.fusion.training import Log

Standardise = Literal["training", "actor"]
"""What features are standardised over: the training part, or before that each actor's own clips, which is
label-free but transductive."""


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """Probabilities and the final model."""

    out_of_fold: Float[np.ndarray, "train emotion"]
    """Every training clip, by a model that saw no actor of its fold."""
    test: Float[np.ndarray, "test emotion"]
    """Every test clip, by the final model, which is refitted on all training clips."""
    fitted: Mapping[str, float]
    """What was chosen on inner folds and is worth tracking: epochs, late weights."""
    state: Mapping[str, Tensor]
    """Parameters of the final model, by name, for a safetensors file."""


Fit = Callable[[BaseModel, Inputs, int, Log], Fused]
"""(config, inputs, seed, log) -> Fused."""
