"""A number with its 95 % interval, and what intervals are over."""

from dataclasses import dataclass

from blended.data.digits import small


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float | None
    """None, as `high`, where nothing can be said: one actor says nothing about others."""
    high: float | None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both, or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def span(self) -> tuple[float, float]:
        """Both, or the value twice: what a figure draws."""
        return self.ends or (self.value, self.value)

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{small(self.value)} (no interval)"
        return f"{small(self.value)} [{small(self.low)}, {small(self.high)}]"


@dataclass(frozen=True, slots=True)
class Basis:
    """What intervals are over."""

    num_actors: int
    num_folds: int

    def __str__(self) -> str:
        """How many actors, and of what.

        >>> [str(Basis(*numbers)) for numbers in ((47, 5), (9, 1), (1, 1))]
        ['47 actors, pooled over 5 folds', '9 actors', 'one actor']
        >>> str(Basis(12, 12))
        '12 actors, pooled over 12 folds of one each'
        """
        if self.num_actors < 2:
            return "one actor"
        each = " of one each" if self.num_actors == self.num_folds else ""
        pooled = f", pooled over {self.num_folds} folds{each}" if self.num_folds > 1 else ""
        return f"{self.num_actors} actors{pooled}"

    @property
    def sentence(self) -> str:
        """Without its full stop."""
        if self.num_actors < 2:
            return "no intervals: one actor says nothing about others"
        return f"95 % intervals over {self}"
