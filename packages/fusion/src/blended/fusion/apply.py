"""A trained strategy on new clips: the final model, as it was stored."""

from typing import Any

from blended.data import InputError
from blended.data.errors import unknown_name
from blended.fusion.strategies import FUSIONS
from blended.fusion.strategies.applied import Applied, NewClips, State, per_actor


def apply_final(config: Any, state: State, clips: NewClips) -> Applied:
    """Probabilities of the final model for clips of which at least one encoder has features.

    `config` is that of the strategy. Raises InputError where nothing is there to decide from, and for
    features of another width than it was trained on.
    """
    if config.name not in FUSIONS:
        raise unknown_name("strategy", config.name, FUSIONS)
    if not clips.used:
        raise InputError(f"no features to decide from, expected those of {', '.join(config.features)}")
    if config.standardise == "actor":
        clips = per_actor(clips)
    return FUSIONS[config.name].apply(config, state, clips)
