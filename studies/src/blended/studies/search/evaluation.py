"""The real evaluator: one call of `trial.run`, and its numbers by the names that MLflow shows.

Trials that differ only in their decision train once. Kept of a training is what the models say about every
clip, fold-wise and in full precision, not the models: a trial that decides on it has the numbers of one that
trains.
"""

import json
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from blended.data import InputError
from blended.data.checksums import DamagedError, check_seal, write_tensors
from blended.data.index import Index, read_index
from blended.data.store import FeatureStore
from blended.eval.breakdown import per_pair
from blended.fusion.strategies import Fused
from blended.fusion.strategy import Memory
from blended.studies import identity, tracking, trial
from blended.studies.folders import Folders
from blended.studies.search import progress
from blended.studies.search.mapped_memory import MappedMemory
from blended.studies.search.objective import Watch
from blended.studies.search.plan import Plan
from blended.studies.search.results import Curve, Evaluated, Outcome, fold_numbers
from blended.studies.search.storage import Place
from blended.studies.trial import TrialConfig, TrialResult

ARRAYS = ("out_of_fold", "inner", "test", "states", "test_states", "fitting", "fitting_states")
"""Of `Fused`: what is decided from."""


class Curves(BaseModel):
    """Inner scores over the epochs of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: Curve = {}
    folds: dict[int, Curve] = {}

    def add(self, epoch: int, mean: float, folds: Mapping[int, float]) -> None:
        """What a training says after an epoch."""
        self.mean[epoch] = mean
        for fold, score in folds.items():
            self.folds.setdefault(fold, {})[epoch] = score


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training leaves to decide on."""

    fused: Fused
    curves: Curves = field(default_factory=Curves)


@dataclass(frozen=True, slots=True)
class TrainingStore:
    """The trainings of all studies on a corpus."""

    folder: Path
    log: Callable[[str], None]
    """Told of damaged files."""

    def path(self, identity: str) -> Path:
        """Where a training lies or would lie; `identity` is that of `identity.training_identity`."""
        return self.folder / f"{identity}.safetensors"

    def find_or_train(self, identity: str, train: Callable[[], Trained]) -> Trained:
        """The training, from `train` if it is not there; one that another worker is at is waited for.

        Whoever dies or gives up during `train` leaves nothing: the next one trains.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{identity}.lock"):
            if self._is_whole(identity):
                return self._read(identity)
            made = train()
            self._write(identity, made)
            return made

    def _is_whole(self, identity: str) -> bool:
        """Whether it is there, and as it was written."""
        path = self.path(identity)
        if not path.is_file():
            return False
        try:
            check_seal(path)
        except DamagedError as damage:
            self.log(f"{damage}: it is trained anew")
            return False
        return True

    def _write(self, identity: str, made: Trained) -> None:
        given = {name: getattr(made.fused, name) for name in ARRAYS}
        arrays = {name: array for name, array in given.items() if array is not None}
        words = {"fitted": json.dumps(dict(made.fused.fitted)), "curves": made.curves.model_dump_json()}
        write_tensors(self.path(identity), arrays, words)

    def _read(self, identity: str) -> Trained:
        from safetensors import safe_open

        with safe_open(self.path(identity), framework="numpy") as file:
            words: dict[str, str] = file.metadata()
            arrays: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        fused = Fused(**arrays, fitted=json.loads(words["fitted"]), state={}, judged=_without_models)
        return Trained(fused, Curves.model_validate_json(words["curves"]))


def _without_models(change: object) -> Any:
    """Raises InputError: only who trained can say what the models rely on."""
    raise InputError("the models of this training were not kept: train the recipe with `blended train`")


@dataclass
class TrialEvaluator:
    """Trains on this machine, on one device."""

    folders: Folders
    device: str
    log: Callable[[str], None]
    checkpoints: Path | None = None
    """Below it a trial keeps what a worker that takes it over goes on from."""
    memory: Memory = field(default_factory=Memory)
    """Features of this worker's trials, each read once."""
    trainings: TrainingStore | None = None
    """Where trials that differ only in their decision find what was trained; None to train for each."""
    plan: Plan | None = None
    """The study whose trials these are: its corpus may not change while it runs."""

    def identity(self, config: TrialConfig) -> str:
        """Of the trial; raises InputError for features that are missing or were made otherwise, and for
        another version of the corpus than the study's."""
        index = read_index(self.folders.index(config.corpus))
        if self.plan is not None and self.plan.corpus_hash not in ("", index.corpus_hash):
            raise progress.other_corpus(self.plan, self.plan.corpus_hash, index.corpus_hash)
        return identity.identity(config, index, self.stores(config, index))

    def stores(self, config: TrialConfig, index: Index) -> dict[str, FeatureStore]:
        """The feature stores that the trial reads."""
        return trial.open_stores(config, index, self.folders)

    def __call__(self, config: TrialConfig, watch: Watch) -> Evaluated:
        """Trains, decides and measures."""
        started = time.monotonic()
        if self.trainings is None:
            result, curves = self._trained(config, watch)
        else:
            result, curves = self._decided(config, watch, self.trainings)
        outcome = _outcome(result, curves, time.monotonic() - started)
        return Evaluated(outcome, result.train, result.corpus.space)

    def _trained(self, config: TrialConfig, watch: Watch) -> tuple[TrialResult, Curves]:
        curves = Curves()

        def seen(epoch: int, score: float, folds: Mapping[int, float]) -> None:
            curves.add(epoch, score, folds)
            watch(epoch, score)

        with self._checkpoints(config) as kept:
            result = self._run(config, watch=seen, checkpoints=kept)
        return result, curves

    def _decided(
        self, config: TrialConfig, watch: Watch, trainings: TrainingStore
    ) -> tuple[TrialResult, Curves]:
        """On a training that is there, or that is made now; the pruner hears the same either way."""
        index = read_index(self.folders.index(config.corpus))
        made = identity.training_identity(config, index, self.stores(config, index))
        results: list[TrialResult] = []

        def train() -> Trained:
            result, curves = self._trained(config, watch)
            results.append(result)
            return Trained(result.fused, curves)

        found = trainings.find_or_train(made, train)
        if results:
            return results[0], found.curves
        for epoch, score in found.curves.mean.items():
            watch(epoch, score)
        return self._run(config, watch=_nobody, known=found.fused), found.curves

    def _run(self, config: TrialConfig, **more: Any) -> TrialResult:
        return trial.run(
            config, log=self.log, device=self.device, folders=self.folders, memory=self.memory, **more
        )

    @contextmanager
    def _checkpoints(self, config: TrialConfig) -> Generator[Path | None]:
        """A folder that stays only if the process dies or is interrupted."""
        if self.checkpoints is None:
            yield None
            return
        folder = self.checkpoints / self.identity(config)
        try:
            yield folder
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _nobody(epoch: int, score: float, folds: Mapping[int, float]) -> None:
    """Of a trial that trains nothing, but whose inner scores are asked for."""


def evaluator_of(plan: Plan, place: Place, device: str, log: Callable[[str], None]) -> TrialEvaluator:
    """What evaluates a study's trials in one process, whoever runs it; `log` is told of damaged files."""
    trainings = TrainingStore(place.trainings(plan.params.corpus), log) if plan.shares_trainings else None
    memory = MappedMemory(place.pooled, log)
    return TrialEvaluator(Folders(place.root), device, _silent, place.checkpoints, memory, trainings, plan)


def _silent(message: str) -> None:
    """Of many trials, what each trains is too much to read."""


def _outcome(result: TrialResult, curves: Curves, seconds: float) -> Outcome:
    code = identity.code_of_run(result.config, result.corpus.space.task)
    return Outcome(
        identity=result.identity,
        config=result.config.model_dump(mode="json"),
        label_space=json.loads(json.dumps(result.corpus.space.to_dict())),
        inner={fold: dict(one.numbers) for fold, one in result.inner.items()},
        outer=fold_numbers(result.train, result.corpus.space),
        metrics={**tracking.trial_metrics(result), **_pairs(result), "seconds": seconds},
        tags={**tracking.trial_tags(result), **tracking.code_tags(code)},
        units={
            f"{fold}/{actor}": score
            for fold, one in result.inner.items()
            for actor, score in one.per_actor.items()
        },
        curve=curves.mean,
        fold_curves=curves.folds,
        seconds=seconds,
    )


def _pairs(result: TrialResult) -> Mapping[str, float]:
    """Presence and salience accuracy of every pair of emotions."""
    if result.corpus.space.task != "mixture":
        return {}
    truth = [mixture for mixture in result.train.truth if mixture is not None]
    values: dict[str, float] = {}
    for pair, scores in per_pair(truth, result.cross_fold.mixtures).items():
        values[f"pairs/{pair.replace('+', '-')}_presence"] = scores.presence
        if scores.salience is not None:
            values[f"pairs/{pair.replace('+', '-')}_salience"] = scores.salience
    return values


def check_features(configs: Mapping[str, TrialConfig], folders: Folders) -> None:
    """Raises InputError, before anything runs, for features that a study needs and that are not there."""
    for config in configs.values():
        trial.open_stores(config, read_index(folders.index(config.corpus)), folders)
