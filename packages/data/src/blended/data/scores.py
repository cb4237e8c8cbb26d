"""What a model says about clips before anything is decided."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError

Kind = Literal["logits", "probabilities"]
Look = Literal["logits", "probabilities", "percent", "sigmoids"]
SUM_TOLERANCE = 1e-3
"""How far the sum of a row of probabilities may be from 1: they are written with few digits."""
PERCENT_TOLERANCE = 0.5
"""The same of percent, which are written as whole numbers at worst."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Per-clip outputs with named columns."""

    clip_ids: tuple[str, ...]
    """Row names, unique."""
    columns: tuple[str, ...]
    """Emotions of a label space, or names of label states."""
    values: NDArray[np.float64]
    """[clip, column], finite, C-contiguous; probabilities lie in [0, 1] and add up to 1 in every row."""
    kind: Kind = "logits"
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
        if (self.values < 0).any():
            row = int((self.values < 0).any(axis=1).argmax())
            raise InputError(
                f"probabilities of clip {self.clip_ids[row]!r} are negative ({self.values[row].min():g}); "
                f"{REMEDIES['logits']}"
            )
        off = np.abs(self.values.sum(axis=1) - 1)
        worst = int(off.argmax()) if len(off) else 0
        if len(off) and off[worst] > SUM_TOLERANCE:
            few = (off > SUM_TOLERANCE).mean() < 0.5
            remedy = "most others do: correct that row" if few else REMEDIES[looks_like(self.values)]
            raise InputError(
                f"probabilities of clip {self.clip_ids[worst]!r} add up to {self.values[worst].sum():.4f}, "
                f"expected 1; {remedy}"
            )

    def probabilities(self) -> NDArray[np.float64]:
        """[clip, column]: the softmax of logits, or the probabilities themselves."""
        if self.kind == "probabilities":
            return self.values
        shifted = np.exp(self.values - self.values.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)


REMEDIES: dict[Look, str] = {
    "logits": "if these are logits, say `--scores logits`",
    "probabilities": "write them with more digits",
    "percent": "these look like percent: divide them by 100",
    "sigmoids": "these look like sigmoids, a chance for every emotion by itself: divide every row by its "
    "sum, or give log(p / (1 - p)) and say `--scores logits`",
}
"""What values look like that are no probabilities -> what to do about it."""
AS_LOGITS: dict[Look, str] = {
    "probabilities": "look like probabilities (in [0, 1], every row adds up to 1), but are read as logits, "
    "which makes all emotions nearly alike: if they are, say `--scores probabilities`",
    "percent": "look like percent (every row adds up to 100), but are read as logits, which leaves nothing "
    "but the largest: divide them by 100 and say `--scores probabilities`",
    "sigmoids": "look like sigmoids (in [0, 1], rows do not add up to 1), but are read as logits, which "
    "makes all emotions nearly alike: give log(p / (1 - p)), or divide every row by its sum and say "
    "`--scores probabilities`",
}
"""What values look like that are taken for logits -> what is said of it. Logits may be any numbers, so this
is no error."""


def looks_like(values: NDArray[np.float64]) -> Look:
    """What values [clip, column] look like, whatever they are said to be.

    >>> looks_like(np.array([[0.2, 0.8]])), looks_like(np.array([[20.0, 80.0]]))
    ('probabilities', 'percent')
    >>> looks_like(np.array([[0.9, 0.8]])), looks_like(np.array([[-1.0, 0.5]]))
    ('sigmoids', 'logits')
    """
    if not values.size or (values < 0).any():
        return "logits"
    sums = values.sum(axis=1)
    if (np.abs(sums - 1) <= SUM_TOLERANCE).all():
        return "probabilities"
    if (np.abs(sums - 100) <= PERCENT_TOLERANCE).all():
        return "percent"
    return "sigmoids" if (values <= 1).all() else "logits"
