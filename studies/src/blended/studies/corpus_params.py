"""The parts of params.yaml that say which corpus is worked on and which features there are; light to read.

Commands on recordings and features run within a second or two: they must not wait for torch, which the check
of recipes needs. `blended data prepare`, the first step of the pipeline, reads all of params.yaml.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from ruamel.yaml import YAML, YAMLError

from blended.data.demo.config import DemoConfig
from blended.data.errors import InputError, unknown_name

if TYPE_CHECKING:
    from blended.data.foreign import ImportedConfig


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


class CorpusParams(BaseModel):
    """What of params.yaml concerns the corpus; other keys are left to whoever needs them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    corpus: str
    """`demo`, or one that `corpora` gives a source for."""
    corpora: CorpusChoices = CorpusChoices()
    max_failures: int = Field(default=0, ge=0)
    """Clips that may be unreadable before the pipeline stops."""


class ForeignFeatures(BaseModel):
    """Features that somebody else extracted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Path
    """A folder of .npy or CSV files, an .npz, or a table with a row per clip."""
    settings: dict[str, JsonValue] = {}
    """How they are read; see `blended.data.foreign.ImportedConfig`."""

    def config(self, name: str) -> "ImportedConfig":
        """Raises InputError for settings that do not exist or are out of range."""
        from blended.data.foreign import ImportedConfig

        try:
            return ImportedConfig.model_validate(with_name(name, self.settings))
        except ValidationError as error:
            problems = [f"{p['loc'][-1]}: {p['msg']}, got {p['input']!r}" for p in error.errors()]
            raise InputError(f"imported.{name}.settings: {'; '.join(problems)}") from error


class FeatureParams(CorpusParams):
    """What of params.yaml concerns corpus and features."""

    encoders: dict[str, dict[str, JsonValue]]
    """Encoder name -> its settings."""
    weights: dict[str, str] = Field(default_factory=dict)
    """Encoder name -> the file of its trained weights, or `random`, which allows untrained features in
    recipes; for those not named, what `blended encoders fetch` got."""
    imported: dict[str, ForeignFeatures] = Field(default_factory=dict)
    """Name -> features made by others, used in recipes like an encoder's."""


P = TypeVar("P", bound=CorpusParams)


def read_corpus_params(path: Path) -> CorpusParams:
    """The choice of the corpus; raises InputError as `blended.studies.params.read_params` does."""
    return checked(path, CorpusParams)


def read_feature_params(path: Path) -> FeatureParams:
    """Corpus, encoders and imported features; raises InputError as `blended.studies.params.read_params`."""
    params = checked(path, FeatureParams)
    check_features(path, params)
    return params


def check_features(path: Path, params: FeatureParams) -> None:
    """Raises InputError for encoders, weights and imported features that do not exist or are out of range."""
    from blended.encoders.table import encoder_config

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


def with_name(name: str, settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """An encoder's settings as its config reads them."""
    return {"name": name, **settings}


def checked(path: Path, model: type[P]) -> P:
    """A params.yaml as the model reads it, its corpus known.

    Raises InputError for a file that is no YAML, every misspelt key with the nearest right one, every value
    out of range, and a corpus without a source.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: run from the folder that holds params.yaml")
    try:
        raw: object = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    try:
        params = model.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: " + "; ".join(problems(error, model))) from error
    _check_source(path, params)
    return params


def _check_source(path: Path, params: CorpusParams) -> None:
    from blended.data.corpora import CORPORA

    if params.corpus == "demo" or params.corpora.source(params.corpus) is not None:
        return
    hint = "" if params.corpus in CORPORA else f" ({unknown_name('corpus', params.corpus, CORPORA)})"
    raise InputError(
        f"{path}: corpus is {params.corpus!r} but corpora.{params.corpus}.source is not set{hint}: say "
        f"where its recordings are"
    )


def problems(error: ValidationError, model: type[BaseModel]) -> Iterable[str]:
    """A phrase for everything that does not fit a model: misspelt keys with the nearest right one, values."""
    known = {key for inner in _models(model) for key in inner.model_fields}
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it or correct its spelling"
            yield f"unknown key {place!r}: {hint}"
        else:
            yield f"{place}: {problem['msg'].removeprefix('Value error, ')}, got {problem['input']!r}"


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
