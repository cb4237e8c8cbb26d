"""A study with everything it depends on: the study file and the params.yaml that it was started with.

It is stored with the study, so that a worker that joins later, elsewhere, runs the same trials. The winner
goes back into params.yaml as a recipe, comments and order kept.
"""

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from blended.data import InputError
from blended.data.atomic import replacing
from blended.studies.params import Params, Recipe
from blended.studies.search.space import Choices, probes
from blended.studies.search.study_file import RECIPE, Study
from blended.studies.trial import TrialConfig, trial_config

MAX_EPOCHS = "fusion.training.max_epochs"
DECISION = "decision"
"""The section of a recipe that nothing is trained by."""


class Plan(BaseModel):
    """What a study runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    study: Study
    params: Params
    """As params.yaml was; its corpus is the study's."""
    source: str = ""
    """Of a study that was written in Python."""
    corpus_hash: str = ""
    """The version of the corpus, labels and folds included, that every trial is of; empty for studies that
    were started before it was written down."""

    @cached_property
    def base(self) -> dict[str, Any]:
        """The base recipe as it was written, before any choice."""
        base = self.study.base
        if isinstance(base, str):
            return self.params.recipe(base).model_dump(mode="json", exclude_unset=True)
        return dict(base or {})

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of every trial."""
        return self.study.seeds or (int(self.base.get("seed", 0)),)

    @property
    def shares_trainings(self) -> bool:
        """Whether trials differ in how they decide, so that several may need the same training."""
        searched = any(path.split(".")[0] == DECISION for path in self.study.dimensions)
        return searched or any(DECISION in changes for changes in self.study.recipes.values())

    def recipe(self, chosen: Choices, seed: int) -> dict[str, Any]:
        """The recipe that choices make, not checked."""
        made = copy.deepcopy(self.base)
        # Sections before what is set inside them; copied, or a setting would change the study's own choice.
        sections = {path: value for path, value in chosen.items() if isinstance(value, dict)}
        for path, value in chosen.items():
            if path == RECIPE:
                made = merged(made, copy.deepcopy(self.study.recipes[str(value)]))
        for path, value in sections.items():
            made = merged(made, _nested(path, copy.deepcopy(value)))
        if (epochs := self.study.budget.epochs) is not None:
            _set(made, MAX_EPOCHS, epochs)
        for path, value in chosen.items():
            if path != RECIPE and path not in sections:
                _set(made, path, value)
        return {**made, "seed": seed}

    def config(self, chosen: Choices, seed: int) -> TrialConfig:
        """The trial of choices; raises ValidationError for values that do not make a recipe, InputError
        for names that do not exist."""
        recipe = Recipe.model_validate(self.recipe(chosen, seed))
        recipe.decision.protocol(seed)
        return trial_config(self.params.model_copy(update={"recipes": {"trial": recipe}}), "trial")

    def configs(self, chosen: Choices, seeds: tuple[int, ...]) -> list[TrialConfig]:
        """One per seed."""
        return [self.config(chosen, seed) for seed in seeds]

    def used_features(self) -> dict[str, JsonValue]:
        """Settings of the encoders and imported features that some trial may use, by name.

        Raises what `config` raises.
        """
        shown = [self.config(chosen, self.seeds[0]) for _, _, chosen in probes(self.study.dimensions)]
        encoders = {name: settings for config in shown for name, settings in config.encoders.items()}
        names = sorted({name for config in shown for name in config.imported})
        imported = {name: self.params.imported[name].model_dump(mode="json") for name in names}
        return {**encoders, **imported}


def _nested(path: str, value: Any) -> dict[str, Any]:
    """`{"fusion": {"training": value}}` of `fusion.training`."""
    made = value
    for section in reversed(path.split(".")):
        made = {section: made}
    return made


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes over a base, key by key.

    A section whose `name` changes is replaced: another strategy has other settings.

    >>> merged({"fusion": {"name": "late", "weights": "equal"}, "seed": 0}, {"fusion": {"name": "early"}})
    {'fusion': {'name': 'early'}, 'seed': 0}
    >>> merged({"fusion": {"name": "late", "weights": "equal"}}, {"fusion": {"weights": "learned"}})
    {'fusion': {'name': 'late', 'weights': 'learned'}}
    """
    made = dict(base)
    for key, value in changes.items():
        before: Any = made.get(key)
        made[key] = merged(before, value) if _same_thing(before, value) else value
    return made


def _same_thing(before: Any, value: Any) -> bool:
    """Whether both are sections, and of what has the same name."""
    both = isinstance(before, Mapping) and isinstance(value, Mapping)
    return both and value.get("name", before.get("name")) == before.get("name")


def _set(recipe: dict[str, Any], path: str, value: Any) -> None:
    """Sets `fusion.training.hidden` in nested dictionaries."""
    *sections, last = path.split(".")
    inside = recipe
    for section in sections:
        inside = inside.setdefault(section, {})
        if not isinstance(inside, dict):
            raise InputError(f"{path}: {section!r} is a value and has no settings inside")
    inside[last] = value


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
