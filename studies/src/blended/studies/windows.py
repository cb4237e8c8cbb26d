"""Windows over a long file."""

from dataclasses import dataclass

from blended.data import InputError

# Shorter windows hold too little for the statistics over time that models are trained on.
SHORTEST_SECONDS = 0.2
# Timestamps are rounded to ticks: a window may end this much after the file.
SLACK_SECONDS = 1e-3


@dataclass(frozen=True, slots=True)
class Windows:
    """How a long file is cut; windows overlap where the hop is shorter than they are."""

    window_seconds: float = 3.0
    hop_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Raises InputError for windows shorter than 0.2 s, or a hop that would never arrive."""
        if not self.window_seconds >= SHORTEST_SECONDS:
            raise InputError(f"windows of {self.window_seconds:g} s, expected {SHORTEST_SECONDS:g} s or more")
        if not SHORTEST_SECONDS <= self.hop_seconds <= self.window_seconds:
            raise InputError(
                f"a hop of {self.hop_seconds:g} s, expected {SHORTEST_SECONDS:g} s to the length of a window "
                f"({self.window_seconds:g} s), so that nothing is skipped"
            )


def spans(start_seconds: float, end_seconds: float, windows: Windows) -> list[tuple[float, float]]:
    """(start, end) of every window in seconds: all full, the last one flush with the end.

    A file shorter than a window is one window.

    >>> spans(0.0, 4.5, Windows(3.0, 1.0))
    [(0.0, 3.0), (1.0, 4.0), (1.5, 4.5)]
    """
    length = windows.window_seconds
    if end_seconds - start_seconds <= length + SLACK_SECONDS:
        return [(start_seconds, end_seconds)]
    num_full = int((end_seconds - start_seconds - length + SLACK_SECONDS) / windows.hop_seconds) + 1
    starts = [start_seconds + number * windows.hop_seconds for number in range(num_full)]
    if starts[-1] + length < end_seconds - SLACK_SECONDS:
        starts.append(end_seconds - length)
    return [(start, start + length) for start in starts]
