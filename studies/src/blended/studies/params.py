"""params.yaml: the single place for choices, checked before anything runs."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from ruamel.yaml import YAML, YAMLError

from blended.data.demo.config import DemoConfig
from blended.data.errors import InputError, unknown_name
from blended.data.foreign import ImportedConfig
from blended.encoders.table import ENCODERS, encoder_config
from blended.fusion.strategies import FusionConfig


class DecisionConfig(BaseModel):
    """How probabilities become mixtures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "thresholds"
    """A name in `blended.eval.decisions.DECISIONS`."""
    calibrate: Literal["none", "actor"] = "none"
    """`actor` is transductive: it uses all unlabelled clips of a person."""


class Recipe(BaseModel):
    """One row of the report: what is trained and how it decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fusion: FusionConfig
    decision: DecisionConfig = DecisionConfig()
    seed: int = 0


class CorpusSource(BaseModel):
    """Where the recordings of a corpus are and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Path
    """A folder, a zip or a folder of zips, as its authors publish it."""
    labels_only: bool = False
    """Without recordings: from tables alone."""
    num_folds: int | None = Field(default=None, ge=2)
    """Of a corpus without published folds; None for as many as is usual for it."""
    seed: int = Field(default=0, ge=0)
    """Of those folds."""


class CorpusChoices(BaseModel):
    """Settings per corpus: the demo's, and a source for every other."""

    model_config = ConfigDict(frozen=True, extra="allow")
    # pydantic reads the type of extra keys from here.
    __pydantic_extra__: dict[str, CorpusSource] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    demo: DemoConfig = DemoConfig()

    def source(self, corpus: str) -> CorpusSource | None:
        """The source of a corpus, if there is one."""
        return self.__pydantic_extra__.get(corpus)


class ForeignFeatures(BaseModel):
    """Features that somebody else extracted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Path
    """A folder of .npy or CSV files, an .npz, or a table with a row per clip."""
    settings: dict[str, JsonValue] = {}
    """How they are read; see `blended.data.foreign.ImportedConfig`."""

    def config(self, name: str) -> ImportedConfig:
        """Raises InputError for settings that do not exist or are out of range."""
        try:
            return ImportedConfig.model_validate(with_name(name, self.settings))
        except ValidationError as error:
            problems = [f"{p['loc'][-1]}: {p['msg']}, got {p['input']!r}" for p in error.errors()]
            raise InputError(f"imported.{name}.settings: {'; '.join(problems)}") from error


class Params(BaseModel):
    """All of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpus: str
    """`demo`, or one that `corpora` gives a source for."""
    corpora: CorpusChoices = CorpusChoices()
    max_failures: int = Field(default=0, ge=0)
    """Clips that may be unreadable before the pipeline stops."""
    encoders: dict[str, dict[str, JsonValue]]
    """Encoder name -> its settings."""
    imported: dict[str, ForeignFeatures] = {}
    """Name -> features made by others, used in recipes like an encoder's."""
    recipes: dict[str, Recipe]

    def recipe(self, name: str) -> Recipe:
        """Raises InputError with the nearest right name."""
        if name not in self.recipes:
            raise unknown_name("recipe", name, self.recipes)
        return self.recipes[name]


def read_params(path: Path) -> Params:
    """Reads and checks params.yaml.

    Raises InputError that names every misspelt key with the nearest right one, every value out of range,
    and every recipe that asks for features no encoder makes.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: run from the folder that holds params.yaml")
    try:
        raw: object = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: " + "; ".join(_problems(error))) from error
    _check_names(path, params)
    return params


def _problems(error: ValidationError) -> Iterable[str]:
    known = {key for model in _models(Params) for key in model.model_fields}
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it or correct its spelling"
            yield f"unknown key {place!r}: {hint}"
        else:
            yield f"{place}: {problem['msg']}, got {problem['input']!r}"


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The model and every model inside it."""
    found = {model}
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        annotation = waiting.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= _models(annotation)
        waiting.extend(get_args(annotation))
    return found


def _check_names(path: Path, params: Params) -> None:
    from blended.data.corpora import CORPORA
    from blended.eval.decisions import DECISIONS

    if params.corpus != "demo" and params.corpora.source(params.corpus) is None:
        hint = "" if params.corpus in CORPORA else f" ({unknown_name('corpus', params.corpus, CORPORA)})"
        raise InputError(
            f"{path}: corpus is {params.corpus!r} but corpora.{params.corpus}.source is not set{hint}: say "
            f"where its recordings are"
        )
    for name, settings in params.encoders.items():
        if name not in ENCODERS:
            raise InputError(f"{path}: encoders: {unknown_name('encoder', name, ENCODERS)}")
        encoder_config(with_name(name, settings))
    for name, given in params.imported.items():
        given.config(name)
    features = {*params.encoders, *params.imported}
    for name, recipe in params.recipes.items():
        for feature in recipe.fusion.features:
            if feature not in features:
                known = unknown_name("features", feature, features)
                raise InputError(f"{path}: recipes.{name}.fusion.features: {known}")
        if recipe.decision.name not in DECISIONS:
            known = unknown_name("decision", recipe.decision.name, DECISIONS)
            raise InputError(f"{path}: recipes.{name}.decision.name: {known}")


def with_name(name: str, settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """An encoder's settings as its config reads them."""
    return {"name": name, **settings}
