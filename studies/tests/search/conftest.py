"""A params.yaml and studies that need no data: a toy takes the place of training."""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import optuna
import pytest

from blended.studies.params import Params, read_params
from blended.studies.search.objective import Objective
from blended.studies.search.opening import join, start
from blended.studies.search.plan import Plan
from blended.studies.search.reading import read_study
from blended.studies.search.results import TrialStore
from blended.studies.search.storage import Place, open_storage
from blended.studies.search.worker import Finished, Worker
from toys.trials import EVALUATED, ToyEvaluator, toy_worker

# Every spawned process would import torch anew; a forked one inherits the threads of the tests and hangs.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["toys.trials"])
JOIN_SECONDS = 180
"""For processes that must end; so long only where the machine is very busy."""
PARAMS = """\
corpus: demo
encoders:
  logmel: {}
  prosody: {}
recipes:
  both:  # the base of the toys
    fusion: {name: early, features: [logmel, prosody]}
    seed: 0
"""
SEARCH = """\
base: both
space:
  fusion.training.learning_rate: {float: [1e-5, 1e-1], log: true}
  fusion.training.hidden: {choice: [0, 13, 64]}
budget: {trials: 12}
pruner: none
"""
GRID = """\
base: both
grid:
  fusion.name: [early, late]
  fusion.training.hidden: [0, 13, 64]
"""


@dataclass(frozen=True)
class Bench:
    """A study on toys, in a folder of its own."""

    place: Place
    plan: Plan

    @property
    def root(self) -> Path:
        return self.place.root

    @property
    def store(self) -> TrialStore:
        return TrialStore(self.place.trials("demo"))

    def start(self, url: str | None = None) -> optuna.Study:
        return start(self.place, self.plan, open_storage(self.place, url))

    def of_corpus(self, corpus_hash: str) -> "Bench":
        """The same, with the corpus in this version."""
        return replace(self, plan=self.plan.model_copy(update={"corpus_hash": corpus_hash}))

    def with_params(self, folder: Path, text: str) -> "Bench":
        """The same study file, beside another params.yaml."""
        (folder / "params.yaml").write_text(text)
        return replace(
            self, plan=read_study(folder / f"{self.plan.name}.yaml", read_params(folder / "params.yaml"))
        )

    def worker(
        self,
        evaluator: ToyEvaluator,
        *,
        again: bool = False,
        url: str | None = None,
        heartbeat: int = 60,
        log: Callable[[str], None] = lambda message: None,
        finished: Finished = lambda trial: None,
    ) -> Worker:
        storage = open_storage(self.place, url, heartbeat_seconds=heartbeat, grace_seconds=2 * heartbeat)
        study, plan = join(self.place, storage)
        objective = Objective(plan, evaluator, self.store, log=log, again=again, where={"device": "cpu"})
        return Worker(study, objective, self.place, finished=finished, log=log)

    def trials(self, url: str | None = None) -> list[optuna.trial.FrozenTrial]:
        return join(self.place, open_storage(self.place, url))[0].get_trials()

    def evaluated(self) -> list[str]:
        path = self.root / EVALUATED
        return path.read_text().split() if path.is_file() else []

    def forked(self, evaluator: ToyEvaluator, url: str | None = None, dies_at: str = "") -> BaseProcess:
        """A worker in a process of its own, with heartbeats every second."""
        arguments = (self.place, evaluator, url, dies_at)
        process = SERVER.Process(target=toy_worker, args=arguments, daemon=True)
        process.start()
        return process


MakeBench = Callable[..., Bench]


@pytest.fixture
def params(tmp_path: Path) -> Params:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    return read_params(path)


@pytest.fixture
def bench(tmp_path: Path, params: Params) -> MakeBench:
    """Makes a study from text; call `start` on it."""

    def make(text: str = SEARCH, name: str = "toy") -> Bench:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return Bench(Place(tmp_path, name), read_study(path, params))

    return make
