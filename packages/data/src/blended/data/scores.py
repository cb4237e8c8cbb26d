"""What a model says about clips before anything is decided."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Per-clip outputs with named columns."""

    clip_ids: tuple[str, ...]
    """Row names, unique."""
    columns: tuple[str, ...]
    """Emotions of a label space, or names of label states."""
    values: NDArray[np.float64]
    """[clip, column], finite, C-contiguous; probabilities lie in [0, 1] and add up to 1 in every row."""
    kind: Literal["logits", "probabilities"] = "logits"
    of: Literal["emotions", "states"] = "emotions"

    def __post_init__(self) -> None:
        """Raises InputError for NaN, wrong shape, repeated clips or rows that are no distribution."""
        if self.values.shape != (len(self.clip_ids), len(self.columns)):
            raise InputError(
                f"scores have shape {self.values.shape} for {len(self.clip_ids)} clips and "
                f"{len(self.columns)} columns"
            )
        # A table's columns come in another memory order than a model's rows, and sums with other last digits.
        object.__setattr__(self, "values", np.ascontiguousarray(self.values, dtype=np.float64))
        counts = Counter(self.clip_ids)
        if repeated := [clip_id for clip_id, count in counts.items() if count > 1]:
            raise InputError(f"clip {repeated[0]!r} has {counts[repeated[0]]} rows of scores, expected one")
        broken = ~np.isfinite(self.values).all(axis=1)
        if broken.any():
            first = self.clip_ids[int(broken.argmax())]
            raise InputError(
                f"scores of clip {first!r} are NaN or infinite ({int(broken.sum())} such rows in all)"
            )
        if self.kind == "probabilities":
            self._check_distributions()

    def _check_distributions(self) -> None:
        off = np.abs(self.values.sum(axis=1) - 1)
        worst = int(off.argmax()) if len(off) else 0
        if len(off) and off[worst] > 1e-3:
            raise InputError(
                f"probabilities of clip {self.clip_ids[worst]!r} add up to {self.values[worst].sum():.4f}, "
                f"expected 1; if these are logits, say `--scores logits`"
            )
        if (self.values < 0).any():
            row = int((self.values < 0).any(axis=1).argmax())
            raise InputError(f"probabilities of clip {self.clip_ids[row]!r} are negative")

    def probabilities(self) -> NDArray[np.float64]:
        """[clip, column]: the softmax of logits, or the probabilities themselves."""
        if self.kind == "probabilities":
            return self.values
        shifted = np.exp(self.values - self.values.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)
