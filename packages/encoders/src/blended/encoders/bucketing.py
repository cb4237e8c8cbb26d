"""Batches of clips of about one length, so that little of a batch is padding."""

import math
from collections.abc import Sequence

from blended.data.clip import Clip
from blended.data.errors import InputError
from blended.data.media.probing import glance


def by_length(clips: Sequence[Clip]) -> list[Clip]:
    """The clips from the shortest to the longest; those that cannot be opened last.

    Batches are cut from this order, so it depends on the clips of the shard and on nothing else.
    """
    return sorted(clips, key=lambda clip: (_seconds(clip), clip.id))


def _seconds(clip: Clip) -> float:
    try:
        return glance(clip.path).duration_seconds
    except InputError:  # Said again, and counted as a failure, when the clip is decoded.
        return math.inf
