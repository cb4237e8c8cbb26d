"""A toy in place of training, for tests and benchmarks: quick, deterministic, and faulty on request."""

import errno
import hashlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import FrozenTrial

from blended.data import Mixture
from blended.data.corpora.blemore import SPACE
from blended.eval.predictions import Predictions
from blended.studies.search import results
from blended.studies.search.objective import Objective, Watch
from blended.studies.search.opening import join
from blended.studies.search.plan import Plan
from blended.studies.search.results import Curve, Evaluated, Outcome
from blended.studies.search.storage import Place, open_storage
from blended.studies.search.worker import Worker

if TYPE_CHECKING:
    from blended.studies.trial import TrialConfig

FAULTY_HIDDEN = 13
"""`fusion.training.hidden` of the configuration that misbehaves."""
FOLDS, ACTORS_PER_FOLD = 3, 5
EVALUATED = "evaluated.txt"
"""One line per evaluation, below the working folder."""


@dataclass
class ToyEvaluator:
    """Scores that have their best at learning rate 1e-3; a few clips of a few actors."""

    root: Path
    seconds_per_epoch: float = 0.0
    epochs: int = 5
    fault: str = "none"
    """`raise`, `nan`, `memory`, `disk` or `kill` (of the process): what the faulty configuration does."""
    corpus_hash: str = ""
    """The version of the corpus that its results say they are of."""

    def identity(self, config: "TrialConfig") -> str:
        """Over the configuration."""
        text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def __call__(self, config: "TrialConfig", watch: Watch) -> Evaluated:
        """Waits, reports, and gives numbers that depend on the configuration alone."""
        best = quality(config)
        curve: Curve = {}
        for epoch in range(1, self.epochs + 1):
            time.sleep(self.seconds_per_epoch)
            if epoch > 1 and self.fault == "kill" and config.fusion.training.hidden == FAULTY_HIDDEN:
                _die()
            curve[epoch] = best * epoch / self.epochs
            watch(epoch, curve[epoch])
        score = best
        if config.fusion.training.hidden == FAULTY_HIDDEN:
            score = self._misbehave(score)
        identity = self.identity(config)
        with (self.root / EVALUATED).open("a") as file:
            file.write(identity + "\n")
        outcome = _outcome(config, identity, score, curve)
        tags = {**outcome.tags, "corpus_hash": self.corpus_hash} if self.corpus_hash else outcome.tags
        return Evaluated(outcome.model_copy(update={"tags": tags}), _predictions(score), SPACE)

    def _misbehave(self, score: float) -> float:
        if self.fault == "raise":
            raise RuntimeError("a bug in the trial")
        if self.fault == "memory":
            raise MemoryError("out of memory")
        if self.fault == "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        return float("nan") if self.fault == "nan" else score


def make_toy(
    plan: Plan, place: Place, device: str, *, seconds_per_epoch: float = 0.0, fault: str = "none"
) -> ToyEvaluator:
    """For the Ray engine, whose actors make their own."""
    del plan, device
    return ToyEvaluator(place.root, seconds_per_epoch=seconds_per_epoch, fault=fault)


def quality(config: "TrialConfig") -> float:
    """In (0, 1): highest for a learning rate of 1e-3, a little higher for late fusion."""
    training = config.fusion.training
    distance = abs(np.log10(float(np.max(training.learning_rate))) + 3)
    bonus = 0.05 if config.fusion.name == "late" else 0.0
    noise = np.random.default_rng((config.seed, training.hidden)).uniform(-0.01, 0.01)
    return float(np.clip(0.8 - 0.2 * distance + bonus + noise, 0.01, 0.99))


def _outcome(config: "TrialConfig", identity: str, score: float, curve: Curve) -> Outcome:
    inner = {
        fold: {"presence": score + 0.01 * fold, "salience": score - 0.01 * fold, "score": score}
        for fold in range(FOLDS)
    }
    outer = {
        fold: {"presence": score - 0.05, "salience": score - 0.05, "score": score - 0.05}
        for fold in range(FOLDS)
    }
    return Outcome(
        identity=identity,
        config=config.model_dump(mode="json"),
        label_space=json.loads(json.dumps(SPACE.to_dict())),
        inner=inner,
        outer=outer,
        units={f"{fold}/{actor}": score for fold in range(FOLDS) for actor in range(ACTORS_PER_FOLD)},
        metrics={"score": score - 0.05, "seconds": 0.1},
        tags={"strategy": f"{config.fusion.name} toy"},
        curve=curve,
        fold_curves=dict.fromkeys(range(FOLDS), curve),
    )


def _predictions(score: float) -> Predictions:
    """Four clips of every actor, of which as many are right as the score says."""
    mixtures = [Mixture.single("ang"), Mixture({"ang": 70, "hap": 30}), Mixture({"fea": 50, "sad": 50})]
    wrong = Mixture.single("neu")
    rng = np.random.default_rng(0)
    names, actors, folds, truth, decided = [], [], [], [], []
    for fold in range(FOLDS):
        for actor in range(ACTORS_PER_FOLD):
            for clip in range(12):
                mixture = mixtures[clip % len(mixtures)]
                names.append(f"a{fold}{actor}_{clip:02d}")
                actors.append(f"a{fold}{actor}")
                folds.append(fold)
                truth.append(mixture)
                decided.append(mixture if rng.uniform() < score else wrong)
    probabilities = np.full((len(names), len(SPACE.emotions)), 1 / len(SPACE.emotions))
    return Predictions(tuple(names), tuple(actors), tuple(folds), probabilities, tuple(decided), tuple(truth))


def toy_worker(place: Place, evaluator: ToyEvaluator, url: str | None, dies_at: str) -> None:
    """Works on a study until it is done, with a heartbeat every second; SIGTERM ends it as the command.

    `dies_at` is `checkpoint` or `log` for a process that is killed between two files of a result, or before
    the first result is on its way to MLflow.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if dies_at == "checkpoint":
        results.write_sealed_json = _die
    study, plan = join(place, open_storage(place, url, heartbeat_seconds=1, grace_seconds=2))

    def finished(trial: FrozenTrial) -> None:
        if dies_at == "log":
            _die()

    def quiet(message: str) -> None:
        """Of a process that nobody listens to."""

    store = results.TrialStore(place.trials(plan.params.corpus))
    objective = Objective(plan, evaluator, store, log=quiet)
    Worker(study, objective, place, finished=finished, log=quiet).work()


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
