"""Starting a study, joining it, and opening one that is there, with the sampler and pruner of its file."""

import ast
import hashlib
import json
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import ValidationError

from blended.data import InputError
from blended.data.errors import unknown_name
from blended.studies.search import progress, space
from blended.studies.search.plan import MAX_EPOCHS, Plan
from blended.studies.search.progress import PLAN, STOPPED
from blended.studies.search.results import TrialStore
from blended.studies.search.storage import Place, explaining_locks
from blended.studies.search.study_file import PrunerConfig, SamplerConfig

if TYPE_CHECKING:
    import optuna
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


def make_sampler(config: SamplerConfig, start: int) -> "BaseSampler":
    """The sampler of one worker; `start` differs between workers, or they would propose the same."""
    import numpy as np

    seed = int(np.random.SeedSequence((config.seed, start)).generate_state(1)[0])
    with without_warnings():
        return SAMPLERS[config.name](config, seed)


@contextmanager
def without_warnings() -> Generator[None]:
    """Optuna calls what is used here experimental at every call."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _tpe(config: SamplerConfig, seed: int) -> "BaseSampler":
    from optuna.samplers import TPESampler

    # group: settings that exist under a condition are modelled together where they exist.
    return TPESampler(
        seed=seed,
        n_startup_trials=config.startup_trials,
        multivariate=True,
        group=True,
        constant_liar=True,
    )


def _gp(config: SamplerConfig, seed: int) -> "BaseSampler":
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, n_startup_trials=config.startup_trials)


def _nsga2(config: SamplerConfig, seed: int) -> "BaseSampler":
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(seed=seed, population_size=config.population)


def _random(config: SamplerConfig, seed: int) -> "BaseSampler":
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[[SamplerConfig, int], "BaseSampler"]] = {
    "tpe": _tpe,
    "gp": _gp,
    "nsga2": _nsga2,
    "random": _random,
    # All points wait in the storage from the start; whoever is free takes the next.
    "grid": _random,
}


def make_pruner(config: PrunerConfig, max_epochs: int) -> "BasePruner":
    """The pruner; steps are epochs, for `wilcoxon` pairs of fold and actor."""
    with without_warnings():
        return PRUNERS[config.name](config, max_epochs)


def _none(config: PrunerConfig, max_epochs: int) -> "BasePruner":
    from optuna.pruners import NopPruner

    return NopPruner()


def _median(config: PrunerConfig, max_epochs: int) -> "BasePruner":
    from optuna.pruners import MedianPruner

    return MedianPruner(config.startup_trials, n_warmup_steps=config.warmup_epochs)


def _hyperband(config: PrunerConfig, max_epochs: int) -> "BasePruner":
    from optuna.pruners import HyperbandPruner

    return HyperbandPruner(min_resource=config.warmup_epochs, max_resource=max_epochs, reduction_factor=3)


def _asha(config: PrunerConfig, max_epochs: int) -> "BasePruner":
    from optuna.pruners import SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(min_resource=config.warmup_epochs, reduction_factor=3)


def _wilcoxon(config: PrunerConfig, max_epochs: int) -> "BasePruner":
    from optuna.pruners import WilcoxonPruner

    return WilcoxonPruner(p_threshold=config.p_threshold, n_startup_steps=4)


PRUNERS: dict[str, Callable[[PrunerConfig, int], "BasePruner"]] = {
    "none": _none,
    "median": _median,
    "hyperband": _hyperband,
    "asha": _asha,
    "wilcoxon": _wilcoxon,
}


MAY_CHANGE = {"budget", "reevaluate", "question"}
"""What may differ when a study is started again: it goes on further, its trials stay comparable."""


def start(place: Place, plan: Plan, storage: "optuna.storages.BaseStorage") -> "optuna.Study":
    """Makes the study, or joins it if it is there and asks the same question.

    Raises InputError for a study of this name with another space, base, corpus, ..., and for one with trials
    on other labels.
    """
    import optuna

    upwards = optuna.study.StudyDirection.MAXIMIZE
    directions = [upwards] * (2 if plan.study.is_multi_objective else 1)
    with FileLock(place.lock), explaining_locks():
        known = optuna.get_all_study_names(storage)
        if place.name in known:
            stored = _stored(place, storage)
            _check_same(stored, plan)
            _check_corpus(place, stored, plan, optuna.load_study(study_name=place.name, storage=storage))
        study = optuna.create_study(
            storage=storage, study_name=place.name, directions=directions, load_if_exists=True
        )
        study.set_user_attr(PLAN, plan.model_dump_json(by_alias=True, exclude_unset=True))
        study.set_user_attr(STOPPED, False)
        if plan.study.is_exhaustive:
            _enqueue_missing(study, plan)
    return _equipped(study, plan)


def join(place: Place, storage: "optuna.storages.BaseStorage") -> tuple["optuna.Study", Plan]:
    """A study that is there, with the plan that it was started with; raises InputError if it is not."""
    import optuna

    with explaining_locks():
        plan = _stored(place, storage)
        return _equipped(optuna.load_study(study_name=place.name, storage=storage), plan), plan


def _stored(place: Place, storage: "optuna.storages.BaseStorage") -> Plan:
    import optuna

    known = optuna.get_all_study_names(storage)
    if place.name not in known:
        raise InputError(
            f"{unknown_name('study', place.name, known)} Start it with `blended study run "
            f"studies/{place.name}.yaml`."
        )
    stored = optuna.load_study(study_name=place.name, storage=storage).user_attrs.get(PLAN)
    if stored is None:
        raise InputError(
            f"study {place.name!r} in this database was not started by `blended study run`: use another name"
        )
    try:
        plan = Plan.model_validate_json(stored)
        plan.used_features()
    except ValueError as error:
        raise InputError(
            f"study {place.name!r} was started by another version of blended, whose settings this one does "
            f"not read ({_reason(error)}): rename the study file, correct it, and start it anew with "
            f"`blended study run`; its trials stay in the database for the other version"
        ) from error
    return plan


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return str(error)


def _equipped(study: "optuna.Study", plan: Plan) -> "optuna.Study":
    """With the plan's sampler and pruner, and draws that no other worker and no earlier call makes."""
    trials = study.get_trials(deepcopy=False)
    study.sampler = make_sampler(plan.study.sampler, _fresh_start(study, len(trials)))
    pruner = plan.study.pruner.model_copy(update={"name": plan.study.prunes})
    study.pruner = make_pruner(pruner, _max_epochs(plan))
    return study


def _fresh_start(study: "optuna.Study", num_trials: int) -> int:
    """0 for the first worker of a new study, so that it can be repeated; else a number of its own."""
    import os
    import socket
    import zlib

    if num_trials == 0:
        return 0
    return zlib.crc32(f"{socket.gethostname()} {os.getpid()} {num_trials}".encode())


def _max_epochs(plan: Plan) -> int:
    """Of one trial, all seeds together."""
    each = plan.study.budget.epochs
    if each is None:
        first = space.all_points({p: d for p, d in plan.study.dimensions.items() if d.choice})[0]
        section: Any = plan.recipe(first, 0).get("fusion", {}).get("training", {})
        each = int(section.get(MAX_EPOCHS.split(".")[-1], 60))
    return each * len(plan.seeds)


def _enqueue_missing(study: "optuna.Study", plan: Plan) -> None:
    """Lets every point of a grid wait; those that are there already stay."""
    there = {
        _key(trial.system_attrs.get("fixed_params", trial.params))
        for trial in study.get_trials(deepcopy=False)
    }
    for point in space.all_points(plan.study.dimensions):
        params = space.to_params(point)
        if _key(params) not in there:
            study.enqueue_trial(params)


def _key(params: dict[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def _check_same(stored: Plan, given: Plan) -> None:
    """Raises InputError naming the first setting that makes two studies incomparable."""
    before, after = (_settings(plan) for plan in (stored, given))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            raise InputError(
                f"study {given.name!r} exists and was started with {path} = {before.get(path, 'nothing')}, "
                f"now it is {after.get(path, 'nothing')}: trials of both would not be comparable. Rename the "
                f"study file, or restore the setting; only {', '.join(sorted(MAY_CHANGE))} may change"
            )


def _check_corpus(place: Place, stored: Plan, given: Plan, study: "optuna.Study") -> None:
    """Raises InputError where finished trials are of another version of the corpus than new ones would be."""
    store = TrialStore(place.trials(stored.params.corpus))
    versions = progress.corpus_versions(stored, study.get_trials(deepcopy=False), store)
    if given.corpus_hash and (others := versions - {given.corpus_hash}):
        raise progress.other_corpus(given, sorted(others)[0], given.corpus_hash)


def _settings(plan: Plan) -> dict[str, str]:
    """Everything that determines the trials of a study, by path."""
    study = plan.study.model_dump(mode="json", by_alias=True)
    fixed = {f"{key}": json.dumps(value) for key, value in study.items() if key not in MAY_CHANGE}
    fixed["params.corpus"] = json.dumps(plan.params.corpus)
    # Only what a trial may use: another encoder in params.yaml changes nothing here.
    features = plan.used_features().items()
    fixed |= {f"the settings of {name}": json.dumps(value, sort_keys=True) for name, value in features}
    fixed["the base recipe"] = json.dumps(plan.base, sort_keys=True)
    fixed["the code of its file"] = _code_of(plan.source)
    fixed["budget.epochs"] = json.dumps(plan.study.budget.epochs)
    return fixed


def _code_of(source: str) -> str:
    """A version of a study in Python: of its syntax tree, without what may change."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords = [one for one in node.keywords if one.arg not in MAY_CHANGE]
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            kept = [pair for pair in pairs if getattr(pair[0], "value", None) not in MAY_CHANGE]
            node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12] if source else ""
