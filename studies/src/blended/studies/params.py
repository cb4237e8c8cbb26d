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
from blended.encoders.layers import parse_feature_reference
from blended.encoders.table import encoder_config
from blended.eval.protocol import Protocol
from blended.fusion.strategies import FusionConfig

Missing = Literal["refuse", "drop", "mask"]


class DecisionConfig(BaseModel):
    """How probabilities become mixtures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "set-ratio"
    """A name in `blended.eval.decisions.DECISIONS`. The default is what inner folds prefer on real outputs
    (LOG.md). Intensities are taken as they are, whatever is named here."""
    calibrate: Literal["none", "actor"] = "none"
    """`actor` is transductive: it uses all unlabelled clips of a person."""
    probabilities: Literal["raw", "temperature", "vector", "isotonic"] = "raw"
    """How probabilities are mapped, after `calibrate`, by what other folds teach."""
    enrol_clips: int | None = Field(default=None, ge=2)
    """With `calibrate: actor`: from so many random clips of each person only; None: from all."""
    presence_weight: float = Field(default=0.5, ge=0, le=1)
    """Of the score that learned decisions maximise; the rest is the weight of salience."""

    def protocol(self, seed: int, *, features_per_actor: bool = False) -> Protocol:
        """Cross-fold, with these choices; raises InputError for what cannot be combined."""
        return Protocol(
            decision=self.name,
            calibrate=self.calibrate,
            seed=seed,
            features_per_actor=features_per_actor,
            probabilities=self.probabilities,
            enrol_clips=self.enrol_clips,
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
    weights: dict[str, str] = {}
    """Encoder name -> the file of its trained weights, or `random`, which allows untrained features in
    recipes; for those not named, what `blended encoders fetch` got."""
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

    if params.corpus != "demo" and params.corpora.source(params.corpus) is None:
        hint = "" if params.corpus in CORPORA else f" ({unknown_name('corpus', params.corpus, CORPORA)})"
        raise InputError(
            f"{path}: corpus is {params.corpus!r} but corpora.{params.corpus}.source is not set{hint}: say "
            f"where its recordings are"
        )
    for name, settings in params.encoders.items():
        try:
            encoder_config(with_name(name, settings))
        except InputError as error:
            raise InputError(f"{path}: encoders: {error}") from error
    for name in params.weights:
        if name not in params.encoders:
            raise InputError(f"{path}: weights: {unknown_name('encoder', name, params.encoders)}")
    for name, given in params.imported.items():
        given.config(name)
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


def with_name(name: str, settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """An encoder's settings as its config reads them."""
    return {"name": name, **settings}
