"""How often no face was seen, in words."""

from collections.abc import Mapping

NUM_LISTED = 10
"""Clips without a face that are named."""


def faces_seen(notes: Mapping[str, Mapping[str, int]]) -> str:
    """What the notes of a store say, over all its clips.

    >>> faces_seen({"a": {"pictures_searched": 8, "pictures_without_face": 1},
    ...             "b": {"pictures_searched": 5, "pictures_without_face": 5}})
    'no face in 6 of 13 pictures searched (2 of 2 clips); 1 clip without any, whole pictures used: b'
    """
    searched = sum(counts["pictures_searched"] for counts in notes.values())
    without = sum(counts["pictures_without_face"] for counts in notes.values())
    some = [clip for clip, counts in notes.items() if counts["pictures_without_face"]]
    none = [
        clip
        for clip, counts in notes.items()
        if counts["pictures_without_face"] == counts["pictures_searched"]
    ]
    text = f"no face in {without} of {searched} pictures searched ({len(some)} of {len(notes)} clips)"
    if not none:
        return text
    named = ", ".join(sorted(none)[:NUM_LISTED])
    more = f" and {len(none) - NUM_LISTED} more" if len(none) > NUM_LISTED else ""
    clips = "clip" if len(none) == 1 else "clips"
    return f"{text}; {len(none)} {clips} without any, whole pictures used: {named}{more}"
