"""Samplers and pruners by the names that study files use."""

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blended.studies.search.study_file import PrunerConfig, SamplerConfig

if TYPE_CHECKING:
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
