"""What a data card is made from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blended.data import InputError
from blended.data.clip import Finding
from blended.data.corpora.adapter import About
from blended.data.index import Index


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One clip to be seen and heard of."""

    clip_id: str
    caption: str
    """Its label in words."""
    seconds: float | int
    """Length of the sound; 0 without any."""
    envelope: NDArray[np.float32]
    """[bin, 2]: the lowest and the highest sample of every stretch of the sound; empty without any."""
    png: bytes
    """A picture from its middle; empty without any."""


@dataclass(frozen=True, slots=True, eq=False)
class DataCard:
    """Everything on the card."""

    index: Index
    findings: tuple[Finding, ...]
    """What `blended.data.findings.check` says of it."""
    about: About
    examples: tuple[Example, ...] = ()
    """Pictures and sounds; of people only if they are asked for."""
    show_people: bool = False
    """Whether examples of a corpus that is not rendered may be shown."""

    def __post_init__(self) -> None:
        """Raises InputError for examples of real people that nobody asked for."""
        if self.examples and not (self.index.corpus.synthetic or self.show_people):
            raise InputError(
                f"examples were given for {self.index.corpus.name!r}, whose recordings show identifiable "
                f"people; a card is passed on, so they need --show-people"
            )
