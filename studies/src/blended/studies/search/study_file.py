"""A study file: one question, asked with a search space, a grid or a list of recipes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from blended.studies.search.space import Dimension

RECIPE = "recipe"
"""The setting that a list of recipes makes."""


def _named(value: Any) -> Any:
    """`sampler: tpe` is short for `sampler: {name: tpe}`."""
    return {"name": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """In a grid, a list is short for `{choice: LIST}`."""
    return {"choice": value} if isinstance(value, list) else value


class SamplerConfig(BaseModel):
    """How the next configuration is proposed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["tpe", "gp", "nsga2", "random", "grid"] = "tpe"
    seed: int = Field(default=0, ge=0)
    startup_trials: int = Field(default=10, ge=1)
    """Random ones, before `tpe` or `gp` has something to learn from."""
    population: int = Field(default=20, ge=2)
    """Of `nsga2`."""


class PrunerConfig(BaseModel):
    """When a trial is given up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["none", "median", "hyperband", "asha", "wilcoxon"] = "median"
    """The same on every engine. `wilcoxon` looks once per seed at fold x actor; the others at the mean over
    folds, over epochs."""
    startup_trials: int = Field(default=5, ge=0)
    """Trials before `median` gives one up."""
    warmup_epochs: int = Field(default=10, ge=1)
    """No trial is given up earlier; the first rung of `hyperband` and `asha`: the next are at 3, 9, ... times
    as many epochs."""
    every: int = Field(default=5, ge=1)
    """Epochs between two looks; each is a write to the database."""
    p_threshold: float = Field(default=0.1, gt=0, lt=1)
    """Of `wilcoxon`."""


class Budget(BaseModel):
    """Where the search ends; what is reached first counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int | None = Field(default=None, ge=1)
    """Finished, given up or failed ones, by all workers together; a grid has its own number."""
    seconds: float | None = Field(default=None, gt=0)
    """Per worker, from its start: no new trial is begun later."""
    epochs: int | None = Field(default=None, ge=1)
    """Upper limit of `fusion.training.max_epochs` in every trial."""


class Reevaluate(BaseModel):
    """The best configurations once more, so that the winner is not the luckiest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: int = Field(ge=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    """Fresh ones."""


class Study(BaseModel):
    """All of studies/NAME.yaml, or of `study` in studies/NAME.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = ""
    """What the study is to answer, in a sentence."""
    corpus: str | None = None
    """None for that of params.yaml."""
    base: str | dict[str, JsonValue] | None = None
    """A recipe of params.yaml, or one written out; what is not searched."""
    space: dict[str, Dimension] = {}
    """Dotted path into a recipe, such as `fusion.training.learning_rate` -> its values."""
    grid: dict[str, Annotated[Dimension, BeforeValidator(_listed)]] = {}
    """Dotted path -> all values to try, every one with every other."""
    recipes: dict[str, dict[str, JsonValue]] = {}
    """Name -> what differs from the base; each is tried, with all of the grid where there is one."""
    objective: Literal["score"] | tuple[Literal["presence"], Literal["salience"]] = "score"
    """On inner folds, mean over folds. Two objectives mean a Pareto front and no pruning."""
    budget: Budget = Budget()
    sampler: Annotated[SamplerConfig, BeforeValidator(_named)] = SamplerConfig()
    pruner: Annotated[PrunerConfig, BeforeValidator(_named)] = PrunerConfig()
    seeds: tuple[int, ...] = ()
    """Every trial is trained with each, and judged by the mean; none for the base's own."""
    reevaluate: Reevaluate | None = None

    @model_validator(mode="after")
    def _check(self) -> "Study":
        if bool(self.space) == bool(self.grid or self.recipes):
            raise ValueError(
                "expected either space: (settings to search) or grid: and recipes: (settings to try all)"
            )
        if RECIPE in self.space or RECIPE in self.grid:
            raise ValueError(f"{RECIPE!r} is not a setting: list the recipes under recipes:")
        if self.space and self.sampler.name != "grid" and not self.budget.trials and not self.budget.seconds:
            raise ValueError("a search needs an end: give budget: {trials: ...} or {seconds: ...}")
        if self.is_multi_objective and self.pruner.name != "none" and "pruner" in self.model_fields_set:
            raise ValueError(
                f"two objectives cannot be pruned: set pruner: none or objective: score, "
                f"got pruner {self.pruner.name}"
            )
        return self

    @property
    def is_multi_objective(self) -> bool:
        """Whether presence and salience are two objectives."""
        return self.objective != "score"

    @property
    def prunes(self) -> str:
        """The pruner in force: none for two objectives, and none for a table unless it is asked for."""
        by_default = "pruner" not in self.model_fields_set
        if self.is_multi_objective or (self.is_exhaustive and by_default):
            return "none"
        return self.pruner.name

    @property
    def is_exhaustive(self) -> bool:
        """Whether all configurations are tried: a grid, a list of recipes."""
        return self.sampler.name == "grid" or not self.space

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """Everything that varies, in the order of the file."""
        named = {RECIPE: Dimension(choice=tuple(self.recipes))} if self.recipes else {}
        return {**named, **self.grid, **self.space}
