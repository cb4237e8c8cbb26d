"""The one check that keeps people apart: whoever is judged has not been trained on."""

from collections.abc import Hashable, Sequence

from blended.data.errors import InputError


def forbid_shared_actors(actors: Sequence[str], parts: Sequence[Hashable]) -> None:
    """Raises InputError if an actor's clips lie in more than one part.

    `actors` and `parts` have one entry per clip; a part is a fold number, or whatever else tells what is
    trained on from what is judged (`"train"` and `"test"`). Every reader and every trainer calls this: a
    model that has seen an actor of the fold it is judged on reports how well it remembers people. Clips
    without an actor, of a held-out partition whose people are not named, are not compared.

    The one allowed look across parts is standardising each actor's features over that actor's own clips
    without their labels.

    >>> forbid_shared_actors(["A1", "A1", "A2"], [0, 0, 1])
    """
    if len(actors) != len(parts):
        raise InputError(f"{len(actors)} actors but {len(parts)} parts: expected one of each for every clip")
    part_of: dict[str, Hashable] = {}
    for actor, part in zip(actors, parts, strict=True):
        if actor and part_of.setdefault(actor, part) != part:
            raise InputError(
                f"actor {actor!r} is in folds {part_of[actor]} and {part}: a model would be judged on an "
                f"actor that it was trained on; make the folds actor-disjoint"
            )
