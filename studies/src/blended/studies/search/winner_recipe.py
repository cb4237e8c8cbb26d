"""The winner as a recipe in params.yaml, comments and order kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from blended.data import InputError
from blended.data.atomic import replacing
from blended.studies.trial import TrialConfig

LINE_WIDTH = 4096
"""Long lines stay as they were."""


def recipe_of(config: TrialConfig) -> dict[str, Any]:
    """What a recipe must say to give this trial again: everything that is not a default."""
    fusion = config.fusion.model_dump(mode="json", exclude_defaults=True)
    decision = config.decision.model_dump(mode="json", exclude_defaults=True)
    recipe: dict[str, Any] = {"fusion": {"name": config.fusion.name, **fusion}}
    if decision:
        recipe["decision"] = {"name": config.decision.name, **decision}
    return {**recipe, "seed": config.seed}


def write_recipe(path: Path, name: str, config: TrialConfig) -> bool:
    """Adds or replaces `recipes.NAME`; returns whether anything changed.

    Raises InputError for a recipe of this name that says something else and was not written by a study.
    """
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = LINE_WIDTH
    document: Any = yaml.load(path)
    recipes = document["recipes"]
    made = recipe_of(config)
    if name in recipes and _plain(recipes[name]) == made:
        return False
    if name in recipes:
        raise InputError(
            f"{path} already has another recipe {name!r}: give the winner a name of its own with --as"
        )
    recipes[name] = _flow(made)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return True


def _flow(recipe: Mapping[str, Any]) -> CommentedMap:
    """In the style of the file: one line per section."""
    made = CommentedMap(recipe)
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            inner = CommentedMap(value)
            inner.fa.set_flow_style()
            made[key] = inner
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
