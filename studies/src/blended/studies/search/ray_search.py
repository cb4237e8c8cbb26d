"""OptunaSearch and pruning on a study's own storage, so that no reader of it need care which engine ran."""

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from blended.studies.search import progress, space
from blended.studies.search.objective import FAILURE, RESULT, SEED
from blended.studies.search.plan import Plan
from blended.studies.search.storage import MAX_RETRIES
from blended.studies.search.worker import Finished

ENDED, FAILED, FRESH = "ended", "failed", "fresh_seed"
"""Of the results that a trial reports: whether it is the last, what went wrong, a re-evaluation's seed."""
SEEN = "seen"
"""Of the others: steps and values for the pruner."""
RAY = "ray"
"""Marks trials that a Ray driver started: they have no heartbeat, the driver answers for them."""
SAME_LOSS_SECONDS = 60.0
"""Trials that one machine loses so soon after each other are one sentence."""


class StudySearch(OptunaSearch):
    """Proposes and prunes as the study does, and writes what the workers found into its storage."""

    def __init__(self, plan: Plan, study: Any, metric: Any, mode: Any, finished: Finished) -> None:
        """`finished` is told of every trial that ended."""
        self.plan = plan
        self.finished = finished
        super().__init__(
            partial(_define, plan.study.dimensions),
            metric=metric,
            mode=mode,
            study_name=study.study_name,
            storage=study._storage,  # the same connection settings
            sampler=study.sampler,
        )
        self.study.pruner = study.pruner

    @property
    def study(self) -> Any:
        """Of Optuna; made when the search is."""
        return self._ot_study

    def suggest(self, trial_id: str) -> Any:
        """Choices as Optuna stores them, with the seed of a re-evaluation; None where one must wait."""
        study = self.study
        if trial_id not in self._ot_trials:
            if progress.is_stopped(study):
                return Searcher.FINISHED
            step = self._next_step(study)
            if step != "trial":
                return Searcher.FINISHED if step == "done" else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Heartbeat of storage")  # This driver answers for its trials.
            params = super().suggest(trial_id)
        trial = self._ot_trials[trial_id]
        trial.set_user_attr(RAY, trial_id)
        return {"params": params, FRESH: trial.user_attrs.get(SEED)}

    def _next_step(self, study: Any) -> progress.Step:
        """As for a worker; and trials of a driver that died, which nobody else will end, come back."""
        trials = study.get_trials(deepcopy=False)
        step = progress.next_step(self.plan, trials)
        if step == "wait":
            known = {trial.number for trial in self._ot_trials.values()}
            if give_back(study, [trial for trial in trials if trial.number not in known]):
                return "trial"
        if step == "reevaluate":
            for params, seed in progress.missing_reevaluations(self.plan, trials):
                study.enqueue_trial(params, user_attrs={SEED: seed})
            return "trial"
        return step

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """What a trial says on its way was written before the pruner was asked."""

    def should_prune(self, trial_id: str, seen: Mapping[int, float]) -> bool:
        """Stores what a trial has seen and asks the study's pruner; a trial that runs anew, because its
        machine died, says some of it again."""
        if self._is_ended(trial_id):
            return False
        trial = self._ot_trials[trial_id]
        known = self._frozen(trial_id).intermediate_values
        for step, value in seen.items():
            if step not in known:
                trial.report(value, step)
        return bool(trial.should_prune())  # Some pruners answer with one of numpy.

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial that was given up before its end is pruned, not finished with a half-trained score."""
        if self._is_ended(trial_id):
            return
        trial, last = self._ot_trials[trial_id], result or {}
        if failure := last.get(FAILED):
            trial.set_user_attr(FAILURE, json.loads(failure))
            result, error = None, True
        elif last.get(ENDED):
            trial.set_user_attr(RESULT, json.loads(last[RESULT]))
        else:
            result = None
        super().on_trial_complete(trial_id, result, error)
        if not self._frozen(trial_id).state.is_finished():
            # Ray only logs what Optuna refuses, such as a value that is no number, and forgets the trial.
            trial.set_user_attr(FAILURE, {"error": f"Optuna takes no such result: {result}", "traceback": ""})
            self.study.tell(trial.number, state=TrialState.FAIL)
        self.finished(self._frozen(trial_id))

    def _frozen(self, trial_id: str) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[self._ot_trials[trial_id].number]

    def _is_ended(self, trial_id: str) -> bool:
        if trial_id in self._completed_trials or trial_id not in self._ot_trials:
            return True
        return self._frozen(trial_id).state.is_finished()


class StudyScheduler(FIFOScheduler):
    """Starts trials in their order and gives those up that the study's pruner gives up."""

    def __init__(self, search: StudySearch, log: Callable[[str], None]) -> None:
        """`log` is told of machines that were lost."""
        super().__init__()
        self.search = search
        self.log = log
        self.lost = -SAME_LOSS_SECONDS
        """When a trial was lost last."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """After every look of a trial."""
        seen = {int(step): float(value) for step, value in json.loads(result.get(SEEN, "{}")).items()}
        stops = bool(seen) and self.search.should_prune(trial.trial_id, seen)
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A trial's own mistake is a result, so this is a machine, or a process that something killed."""
        before, self.lost = self.lost, time.monotonic()
        if self.lost - before >= SAME_LOSS_SECONDS:
            self.log("a node of the Ray cluster was lost, or what ran there was killed: its trials run again")


def _define(dimensions: space.Space, trial: Any) -> None:
    """What OptunaSearch expects: asks for every setting and returns nothing."""
    space.suggest(dimensions, trial)


def give_back(study: Any, trials: Sequence[FrozenTrial]) -> bool:
    """Lets running trials of a driver that died wait anew; returns whether there were any."""
    orphans = [trial for trial in trials if trial.state == TrialState.RUNNING and RAY in trial.user_attrs]
    for trial in orphans:
        study.tell(trial.number, state=TrialState.FAIL)
        RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES)(study, trial)
    return bool(orphans)
