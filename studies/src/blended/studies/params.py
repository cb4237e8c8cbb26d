"""params.yaml: the single place for choices, checked before anything runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from blended.data.errors import InputError, unknown_name
from blended.data.labels import Task
from blended.encoders.names import parse_feature_reference
from blended.eval.normalisation import MIN_ENROL_CLIPS
from blended.eval.protocol import Protocol
from blended.eval.tasks import TASKS
from blended.fusion.pairs import Nesting
from blended.fusion.strategies import FusionConfig
from blended.studies.corpus_params import FeatureParams, check_features, checked, problems

Missing = Literal["refuse", "drop", "mask"]


class DecisionConfig(BaseModel):
    """How probabilities become mixtures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    """A name in `blended.eval.decisions.DECISIONS`; None for what the corpus's labels ask for (`TASKS`): the
    one that inner folds prefer for blends, the most probable for single labels. Intensities are taken as they
    are, whatever is named here."""
    normalise: Literal["none", "actor"] = "none"
    """`actor` is transductive: it uses all unlabelled clips of a person."""
    calibrate: Literal["raw", "temperature", "vector", "isotonic"] = "raw"
    """How probabilities are mapped, after `normalise`, by what other folds teach."""
    enrol_clips: int | None = Field(default=None, ge=1)
    """With `normalise: actor`: from so many random clips of each person only; None: from all."""
    enrol_minimum: int = Field(default=MIN_ENROL_CLIPS, ge=1)
    """With `enrol_clips`: people of whom there are fewer are not normalised."""
    presence_weight: float = Field(default=0.5, ge=0, le=1)
    """Of the score that learned decisions maximise; the rest is the weight of salience."""

    @model_validator(mode="before")
    @classmethod
    def _check_spelling(cls, given: Any) -> Any:
        """Raises ValueError for the words of before 2026-11-28, naming those of now."""
        if isinstance(given, Mapping) and "probabilities" in given:
            raise ValueError(
                f"`probabilities` is called `calibrate` now: write calibrate: {given['probabilities']}"
            )
        if isinstance(given, Mapping) and given.get("calibrate") in ("none", "actor"):
            raise ValueError(
                f"`calibrate` per actor is called `normalise` now: write normalise: {given['calibrate']}"
            )
        return given

    def resolved(self, task: Task) -> "DecisionConfig":
        """With a name, whatever the labels are."""
        return self if self.name else self.model_copy(update={"name": TASKS[task].decision})

    def protocol(self, seed: int, *, features_per_actor: bool = False) -> Protocol:
        """Cross-fold, with these choices; where no decision is named, as blends are decided.

        Raises InputError for what cannot be combined.
        """
        return Protocol(
            decision=self.name or TASKS["mixture"].decision,
            normalise=self.normalise,
            seed=seed,
            features_per_actor=features_per_actor,
            calibrate=self.calibrate,
            enrol_clips=self.enrol_clips,
            enrol_minimum=self.enrol_minimum,
            presence_weight=self.presence_weight,
        )


class Recipe(BaseModel):
    """One row of the report: what is trained and how it decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fusion: FusionConfig
    decision: DecisionConfig = DecisionConfig()
    missing: Missing = "refuse"
    """Clips that lack the features of an encoder: `drop` them, or `mask`, which fuses what each clip has."""
    seed: int = 0
    nesting: Nesting = "strict"
    """`strict`: the decision of a fold is fitted on scores of models that saw none of its labels, for which
    models of pairs of folds are trained; `plain`: on what the other folds report, which is cheaper and may
    flatter."""


class Params(FeatureParams):
    """All of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipes: dict[str, Recipe]

    def recipe(self, name: str) -> Recipe:
        """Raises InputError with the nearest right name."""
        if name not in self.recipes:
            raise unknown_name("recipe", name, self.recipes)
        return self.recipes[name]


def recipe_of(given: Recipe | Mapping[str, object]) -> Recipe:
    """A recipe as it is, or of its fields as params.yaml has them; raises InputError naming what is wrong."""
    if isinstance(given, Recipe):
        return given
    try:
        return Recipe.model_validate(given)
    except ValidationError as error:
        raise InputError(f"recipe: {'; '.join(problems(error, Recipe))}") from error


def read_params(path: Path) -> Params:
    """Reads and checks params.yaml.

    Raises InputError that names every misspelt key with the nearest right one, every value out of range,
    and every recipe that asks for features no encoder makes.
    """
    params = checked(path, Params)
    check_features(path, params)
    _check_recipes(path, params)
    return params


def _check_recipes(path: Path, params: Params) -> None:
    features = {*params.encoders, *params.imported}
    for name, recipe in params.recipes.items():
        for feature in recipe.fusion.features:
            if (wanted := parse_feature_reference(feature).name) not in features:
                known = unknown_name("features", wanted, features)
                raise InputError(f"{path}: recipes.{name}.fusion.features: {known}")
        try:
            recipe.decision.protocol(recipe.seed)
        except InputError as error:
            raise InputError(f"{path}: recipes.{name}.decision: {error}") from error
