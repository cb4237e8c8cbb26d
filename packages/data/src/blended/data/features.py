"""What an encoder makes of one clip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blended.data.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Values over time of one layer of one encoder for one clip."""

    values: NDArray[np.floating]
    """[time, dim], finite; float16 on disk unless the encoder says otherwise."""
    rate_hz: float
    """Time steps per second; 0 for one vector per clip."""

    def __post_init__(self) -> None:
        """Raises InputError unless values are a finite [time, dim] matrix with at least one step."""
        if self.values.ndim != 2 or self.values.shape[0] == 0:
            raise InputError(f"features must be [time, dim] with time >= 1, got shape {self.values.shape}")
        if not np.isfinite(self.values).all():
            bad = int(np.count_nonzero(~np.isfinite(self.values).all(axis=1)))
            raise InputError(f"features hold NaN or infinite values in {bad} of {len(self.values)} steps")
        if self.rate_hz < 0:
            raise InputError(f"rate_hz must not be negative, got {self.rate_hz}")
