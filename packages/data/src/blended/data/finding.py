"""One finding about a corpus, graded."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
"""Most urgent first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one clip, or about the corpus."""

    level: Level
    """`error` stops a run, `warning` may spoil its numbers, `note` is for the reader."""
    clip_id: str
    """Empty for the corpus as a whole."""
    message: str
    """What was found and what to do."""
    unusable: bool = False
    """Whether the clip cannot be encoded, so that a run may go on without it (`max_failures`)."""
