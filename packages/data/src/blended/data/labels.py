"""What a clip can be labelled with: label spaces, mixtures of one or two emotions, soft labels.

Shares are in percent. The order of emotions is always explicit and never inferred from data.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from blended.data.errors import InputError, unknown_name

Task = Literal["mixture", "single", "intensities"]

EMOTION_NAMES = {
    "ang": "anger",
    "calm": "calm",
    "disg": "disgust",
    "fea": "fear",
    "hap": "happiness",
    "neu": "neutral",
    "sad": "sadness",
    "sur": "surprise",
}
"""Short names that the corpora share -> words."""

# Shares written by other programs (30.4 + 69.6) miss 100 by rounding only.
SHARE_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, init=False, slots=True)
class Mixture:
    """One emotion, or two emotions with their shares in percent.

    Equality and hash do not depend on the order in which the emotions were given. Shares are kept as
    given; the metrics compare them rounded to integers, as the organisers of BLEMORE do.

    >>> Mixture({"hap": 30, "ang": 70}) == Mixture({"ang": 70, "hap": 30})
    True
    >>> Mixture({"ang": 70, "hap": 30}).name, Mixture.single("neu").name
    ('ang+hap:70/30', 'neu')
    """

    shares: tuple[tuple[str, float], ...]
    """(emotion, share) by emotion name; every share in (0, 100] percent, together 100."""

    def __init__(self, shares: Mapping[str, float | int]) -> None:
        """Raises InputError unless one or two emotions have positive shares that add up to 100."""
        if not 1 <= len(shares) <= 2:
            raise InputError(f"a mixture has one or two emotions, got {len(shares)}: {dict(shares)}")
        total = math.fsum(shares.values())
        if not all(math.isfinite(share) and share > 0 for share in shares.values()):
            raise InputError(f"every share must be a positive number of percent, got {dict(shares)}")
        if abs(total - 100) > SHARE_SUM_TOLERANCE:
            raise InputError(f"shares must add up to 100 percent, got {dict(shares)} = {total:g}")
        object.__setattr__(self, "shares", tuple(sorted((e, float(s)) for e, s in shares.items())))

    @classmethod
    def single(cls, emotion: str) -> "Mixture":
        """The given emotion alone, at 100 percent."""
        return cls({emotion: 100.0})

    @classmethod
    def from_name(cls, name: str) -> "Mixture":
        """The inverse of `name`; raises InputError for anything else.

        >>> Mixture.from_name("ang+disg:70/30").shares
        (('ang', 70.0), ('disg', 30.0))
        """
        emotions, _, shares = name.partition(":")
        pair = emotions.split("+")
        try:
            percent = [float(share) for share in shares.split("/")] if shares else [100.0]
            return cls(dict(zip(pair, percent, strict=True)))
        except ValueError as error:
            raise InputError(
                f"cannot read the label state {name!r}: expected 'ang' or 'ang+disg:70/30'"
            ) from error

    @classmethod
    def from_json(cls, text: str) -> "Mixture":
        """The inverse of `to_json`."""
        return cls(json.loads(text))

    def to_json(self) -> str:
        """A JSON object of emotion to share.

        >>> Mixture({"hap": 30, "ang": 70}).to_json()
        '{"ang": 70.0, "hap": 30.0}'
        """
        return json.dumps(dict(self.shares))

    @property
    def name(self) -> str:
        """The label state: `ang`, or `ang+disg:70/30` with emotions in alphabetical order."""
        if not self.is_blend:
            return self.shares[0][0]
        (first, p), (second, q) = self.shares
        return f"{first}+{second}:{p:g}/{q:g}"

    @property
    def emotions(self) -> frozenset[str]:
        """The emotions that are present."""
        return frozenset(emotion for emotion, _ in self.shares)

    @property
    def is_blend(self) -> bool:
        """Whether two emotions are present."""
        return len(self.shares) == 2

    def rounded(self) -> dict[str, int]:
        """Shares rounded to whole percent, half to even, as the official metric compares them."""
        return {emotion: round(share) for emotion, share in self.shares}


@dataclass(frozen=True, slots=True)
class SoftLabel:
    """A distribution over emotions, or a vector of intensities, for one clip."""

    emotions: tuple[str, ...]
    """Names, in the order of `values`."""
    values: tuple[float, ...]
    """One per emotion, in [0, 1]; a distribution adds up to 1."""
    kind: Literal["distribution", "intensities"] = "distribution"

    def __post_init__(self) -> None:
        """Raises InputError for values out of range or of the wrong number."""
        if len(self.emotions) != len(self.values):
            raise InputError(f"{len(self.emotions)} emotions but {len(self.values)} values")
        if not all(0 <= value <= 1 for value in self.values):
            raise InputError(f"soft label values must lie in [0, 1], got {self.values}")
        if self.kind == "distribution" and abs(math.fsum(self.values) - 1) > 1e-6:
            raise InputError(f"a distribution must add up to 1, got {math.fsum(self.values):g}")


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """The labels of a corpus, in column order, and the task that they define."""

    emotions: tuple[str, ...]
    """Column order of every score and target of the corpus."""
    task: Task = "mixture"
    states: tuple[Mixture, ...] = ()
    """Every mixture that the corpus annotates (BLEMORE: 6 singles, then 10 pairs x 3 shares)."""

    def __post_init__(self) -> None:
        """Raises InputError for duplicate emotions or a state with an emotion outside the space."""
        if len(set(self.emotions)) != len(self.emotions):
            raise InputError(f"an emotion is named twice: {self.emotions}")
        for state in self.states:
            self.check(state)

    @property
    def emotion_sets(self) -> tuple[frozenset[str], ...]:
        """The distinct sets of emotions of the states, in the order of the states (BLEMORE: 16)."""
        return tuple(dict.fromkeys(state.emotions for state in self.states))

    def check(self, mixture: Mixture) -> Mixture:
        """The mixture itself; raises InputError if it has an emotion that is not in this space."""
        for emotion in mixture.emotions:
            if emotion not in self.emotions:
                raise unknown_name("emotion", emotion, self.emotions)
        return mixture

    def check_label(self, mixture: Mixture | None, soft: SoftLabel | None) -> None:
        """Raises InputError for a label that does not belong to the task of this space.

        A mixture task takes one or two emotions, a single-label task one; both may have a distribution over
        raters beside or instead. Intensities are a soft label of that kind; nothing at all is a withheld
        label, whatever the task.
        """
        if mixture is not None:
            self.check(mixture)
            if mixture.is_blend and self.task != "mixture":
                raise InputError(
                    f"{mixture.name} has two emotions, but the task is {self.task!r}: expected one emotion"
                )
        if soft is None:
            if mixture is not None and self.task == "intensities":
                raise InputError(f"{mixture.name} is no vector of intensities, which the task asks for")
            return
        if soft.emotions != self.emotions:
            raise InputError(
                f"a soft label has the emotions {', '.join(soft.emotions)}, expected "
                f"{', '.join(self.emotions)} in this order"
            )
        wanted = "intensities" if self.task == "intensities" else "distribution"
        if soft.kind != wanted:
            raise InputError(f"a soft label of kind {soft.kind!r}, expected {wanted!r} for {self.task!r}")

    def soft(self, mixture: Mixture) -> SoftLabel:
        """The mixture as a distribution over the emotions of this space."""
        return SoftLabel(self.emotions, tuple(self.target(mixture)))

    def target(self, mixture: Mixture) -> list[float]:
        """The mixture as a distribution over `emotions`: shares divided by 100.

        >>> LabelSpace(("ang", "hap", "neu")).target(Mixture({"hap": 70, "ang": 30}))
        [0.3, 0.7, 0.0]
        """
        shares = dict(self.check(mixture).shares)
        return [shares.get(emotion, 0.0) / 100 for emotion in self.emotions]

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; `from_dict` is the inverse."""
        return {"emotions": [*self.emotions], "task": self.task, "states": [s.name for s in self.states]}

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> "LabelSpace":
        """Reads what `to_dict` wrote."""
        emotions, task, states = fields["emotions"], fields["task"], fields["states"]
        assert isinstance(emotions, list) and isinstance(states, list)
        assert task in ("mixture", "single", "intensities")
        return cls(tuple(emotions), task, tuple(Mixture.from_name(state) for state in states))


def set_name(emotions: Iterable[str]) -> str:
    """An emotion set in words, alphabetical.

    >>> set_name({"hap", "ang"})
    'ang+hap'
    """
    return "+".join(sorted(emotions))
