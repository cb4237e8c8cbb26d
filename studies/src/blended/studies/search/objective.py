"""One Optuna trial: choices, one evaluation per seed, the mean over inner folds."""

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from blended.data import InputError
from blended.data.checksums import DamagedError
from blended.studies.fold_numbers import HEADLINE, Numbers, mean_numbers
from blended.studies.search import space
from blended.studies.search.plan import Plan
from blended.studies.search.results import Evaluated, Outcome, TrialStore

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from blended.studies.trial import TrialConfig

Watch = Callable[[int, float], None]
"""(epoch, mean inner score): called after every epoch; may raise to stop the trial."""

RESULT, FAILURE, SURPLUS, SEED = "result", "failure", "surplus", "reevaluation_seed"
"""Attributes of a trial in Optuna's storage."""


@runtime_checkable
class Evaluator(Protocol):
    """Evaluates one configuration; `evaluation.TrialEvaluator` is the real one."""

    def identity(self, config: "TrialConfig") -> str:
        """Equal identities give equal numbers."""
        ...

    def __call__(self, config: "TrialConfig", watch: Watch) -> Evaluated:
        """Trains, decides and measures."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """What an objective asks of a trial: Optuna's own, or `ray_engine.RemoteTrial` on a node."""

    @property
    def user_attrs(self) -> dict[str, Any]:
        """Of Optuna's storage."""
        ...

    def report(self, value: float, step: int) -> None:
        """Keeps a value for the pruner."""
        ...

    def should_prune(self) -> bool:
        """What the study's pruner says of the values so far."""
        ...


@dataclass(slots=True)
class Pruning:
    """Passes inner scores on to Optuna and stops the trial when it is hopeless."""

    report: Callable[[float, int], None]
    should_stop: Callable[[], bool]
    every: int
    """Epochs between two looks; 0 never looks."""
    offset: int = 0
    """Epochs of earlier seeds."""
    last_epoch: int = 0

    def __call__(self, epoch: int, score: float) -> None:
        """Raises TrialPruned for a hopeless trial, InputError for a score that is no number."""
        import optuna

        if not math.isfinite(score):
            raise InputError(f"the inner score after epoch {epoch} is {score}: lower the learning rate")
        # A strategy that trains several models one after another counts its epochs anew for each; only
        # the first is comparable between trials.
        if not self.every or epoch % self.every or epoch <= self.last_epoch:
            return
        self.last_epoch = epoch
        self.report(score, self.offset + epoch)
        if self.should_stop():
            raise optuna.TrialPruned(f"worse than others after epoch {epoch}: inner score {score:.3f}")


@dataclass
class Objective:
    """What Optuna calls; equal for every worker."""

    plan: Plan
    evaluate: Evaluator
    store: TrialStore
    _: KW_ONLY
    log: Callable[[str], None]
    """Told of results that are damaged."""
    again: bool = False
    """Whether to compute what is already in the store."""
    where: dict[str, str] = field(default_factory=dict[str, str])
    """Device, host and commit of this worker."""
    number: int | None = None
    """Of the trial that is running."""

    def __call__(self, trial: "optuna.Trial") -> float | tuple[float, float]:
        """The value, or values, of a trial; what went wrong is kept with it."""
        import optuna

        self.number = trial.number
        started = time.time()
        try:
            chosen = space.suggest(self.plan.study.dimensions, trial)
            outcomes = self.outcomes(trial, chosen)
            found = values(self.plan, outcomes)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr(FAILURE, {"error": repr(error)[:500], "traceback": traceback.format_exc()})
            raise
        trial.set_user_attr(RESULT, {**result(outcomes), **self.where, "seconds": time.time() - started})
        return found

    def outcomes(self, trial: Reporting, chosen: space.Choices) -> list[Outcome]:
        """One per seed, from the store where they are there."""
        seeds = self.plan.seeds
        fresh = trial.user_attrs.get(SEED)
        kind = self.plan.study.prunes if fresh is None else "none"
        pruner = self.plan.study.pruner
        every = 0 if kind in ("none", "wilcoxon") else pruner.every
        pruning = Pruning(trial.report, trial.should_prune, every)
        made: list[Outcome] = []
        for config in self.plan.configs(chosen, seeds if fresh is None else (int(fresh),)):
            made.append(self.outcome(config, pruning))
            pruning.offset += max(made[-1].curve, default=pruning.last_epoch)
            pruning.last_epoch = 0
            if kind == "wilcoxon" and len(made) < len(seeds):
                _compare_units(trial, made)
        return made

    def outcome(self, config: "TrialConfig", watch: Watch) -> Outcome:
        """Of one configuration on one seed."""
        found = None if self.again else self._stored(self.evaluate.identity(config))
        if found is not None:
            return found
        evaluated = self.evaluate(config, watch)
        values(self.plan, [evaluated.outcome])  # What is no number is not stored.
        return self.store.put(evaluated)

    def restore(self, trial: "FrozenTrial") -> None:
        """Computes again which of a finished trial's results is damaged or gone, if it would be the same."""
        chosen = space.from_params(self.plan.study.dimensions, trial.params)
        fresh, known = trial.user_attrs.get(SEED), trial.user_attrs.get(RESULT, {}).get("identities", ())
        seeds = self.plan.seeds if fresh is None else (int(fresh),)
        for config, identity in zip(self.plan.configs(chosen, seeds), known, strict=False):
            # Of other code or data it is another result: whoever reads the old one is told that it is gone.
            if self._stored(identity) is None and self.evaluate.identity(config) == identity:
                self.log(f"trial {trial.number}: its result is computed again")
                self.store.put(self.evaluate(config, _nobody))

    def _stored(self, identity: str) -> Outcome | None:
        try:
            return self.store.find(identity)
        except DamagedError as damage:
            self.log(str(damage))
            return None


def _nobody(epoch: int, score: float) -> None:
    """Of a trial that has ended."""


def _compare_units(trial: Reporting, outcomes: Sequence[Outcome]) -> None:
    """Reports fold x actor of the last seed and stops the trial if they are worse than the best trial's."""
    import optuna

    last = outcomes[-1]
    units = last.units or {str(fold): numbers[HEADLINE] for fold, numbers in last.inner.items()}
    start = (len(outcomes) - 1) * len(units)
    for step, name in enumerate(sorted(units)):
        trial.report(units[name], start + step)
    if trial.should_prune():
        raise optuna.TrialPruned(f"worse than the best trial on {len(units)} pairs of fold and actor")


def result(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What the storage keeps of a trial; the rest lies in the trial store."""
    return {
        "identities": [one.identity for one in outcomes],
        "inner": _folds([one.inner for one in outcomes]),
        "outer": _folds([one.outer for one in outcomes]),
    }


def _folds(seeds: Sequence[dict[int, Numbers]]) -> dict[str, Numbers]:
    """Fold -> means over seeds."""
    return {str(fold): mean_numbers([folds[fold] for folds in seeds]) for fold in seeds[0]}


def values(plan: Plan, outcomes: Sequence[Outcome]) -> float | tuple[float, float]:
    """What the study maximises: means over folds and seeds, inner folds only.

    Raises InputError for a mean that is no number: Optuna and Ray each make something else of it.
    """
    names = ("presence", "salience") if plan.study.is_multi_objective else (HEADLINE,)
    means, found = mean_numbers([one.mean_inner for one in outcomes]), dict[str, float]()
    for name in names:
        if name not in means:
            raise InputError(
                f"the objective asks for {name}, which a task without blends does not have: use "
                f"objective: score"
            )
        found[name] = value = means[name]
        if not math.isfinite(value):
            raise InputError(
                f"the trial's inner {name} is {value}: its training diverged, or a fold is empty"
            )
    return found[HEADLINE] if HEADLINE in found else (found["presence"], found["salience"])
