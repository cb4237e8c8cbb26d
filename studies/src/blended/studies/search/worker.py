"""A worker: takes trials of a study until there are none left. Any number may run at once."""

import errno
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from filelock import FileLock

from blended.data import InputError
from blended.studies.search import progress
from blended.studies.search.objective import SEED, SURPLUS, Objective
from blended.studies.search.opening import without_warnings
from blended.studies.search.storage import Place, explaining_locks, give_first_heartbeats

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

POLL_SECONDS = 0.5
MAX_FAILURES_IN_A_ROW = 10
"""A study in which everything fails is stopped instead of running through its budget."""

Finished = Callable[["FrozenTrial"], None]


class _SurplusError(Exception):
    """This trial is one too many."""


class Worker:
    """One process's share of a study."""

    def __init__(
        self,
        study: "optuna.Study",
        objective: Objective,
        place: Place,
        *,
        finished: Finished,
        log: Callable[[str], None],
    ) -> None:
        """`finished` is told of every trial that ended here, whatever its state."""
        self.study = study
        self.objective = objective
        self.plan = objective.plan
        self.place = place
        self.finished = finished
        self.log = log
        self.failures_in_a_row = 0
        self.disk_full = False
        self.waited_for: set[int] = set()

    def work(self) -> None:
        """Runs trials until the budget is spent or somebody stops the study.

        Raises InputError when the database stays locked, the disk is full, or everything fails.
        """
        seconds = self.plan.study.budget.seconds
        end = time.monotonic() + seconds if seconds else float("inf")
        with explaining_locks():
            while not progress.is_stopped(self.study):
                step = progress.next_step(self.plan, self.study.get_trials(deepcopy=False))
                if step == "done":
                    return
                if time.monotonic() >= end:
                    self.log("the time of budget.seconds is over")
                    return
                self._do(step)
            self.log(f"study {self.place.name} was stopped; go on with `blended study resume`")

    def _do(self, step: progress.Step) -> None:
        from optuna.storages import fail_stale_trials

        if step == "trial":
            self._one_trial()
        elif step == "wait":
            # Trials of other workers are under way; if one of them dies, its trial comes back.
            time.sleep(POLL_SECONDS)
            with without_warnings():
                give_first_heartbeats(self.study, self.waited_for)
                fail_stale_trials(self.study)
        elif step == "reevaluate":
            self._enqueue_reevaluations()

    def _one_trial(self) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self.study.optimize(self._objective, n_trials=1, catch=(Exception,), callbacks=[self._ended])
        except UpdateFinishedTrialError:
            self.log(
                f"trial {self.objective.number} was given to another worker because this one was not heard "
                f"of; its result is stored and will be found"
            )
        except KeyboardInterrupt:
            self._give_back()
            raise
        if self.disk_full:
            raise InputError(
                f"the disk of {self.place.root.resolve()} is full: nothing half-written was left; free some "
                f"space and go on with `blended study resume {self.place.name}`"
            )

    def _objective(self, trial: "optuna.Trial") -> float | tuple[float, float]:
        trials = self.study.get_trials(deepcopy=False)
        if progress.is_surplus(self.plan, trials, trial.number):
            trial.set_user_attr(SURPLUS, True)
            raise _SurplusError
        try:
            return self.objective(trial)
        except Exception as error:
            self.disk_full = is_disk_full(error)
            raise

    def _ended(self, study: "optuna.Study", trial: "FrozenTrial") -> None:
        from optuna.trial import TrialState

        if SURPLUS in trial.user_attrs:
            return
        if self.disk_full:
            self._give_back()
            return
        self.finished(trial)
        if trial.state != TrialState.FAIL:
            self.failures_in_a_row = 0
            return
        self.failures_in_a_row += 1
        self.log(f"trial {trial.number} failed: {progress.failure(trial)['error']}")
        if self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise InputError(
                f"{MAX_FAILURES_IN_A_ROW} trials failed in a row, the last with: "
                f"{progress.failure(trial)['error']}; mend that and `blended study resume {self.place.name}`"
            )

    def _give_back(self) -> None:
        """Lets the trial that was interrupted wait for whoever comes next."""
        from optuna.storages import RetryHeartbeatStaleTrialCallback

        number = self.objective.number
        trial = next((t for t in self.study.get_trials(deepcopy=False) if t.number == number), None)
        if trial is not None and trial.state.name == "FAIL":
            with without_warnings():
                RetryHeartbeatStaleTrialCallback()(self.study, trial)

    def _enqueue_reevaluations(self) -> None:
        with FileLock(self.place.lock):
            # Another worker may have done so while this one waited.
            missing = progress.missing_reevaluations(self.plan, self.study.get_trials(deepcopy=False))
            for params, seed in missing:
                self.study.enqueue_trial(params, user_attrs={SEED: seed})


def is_disk_full(error: BaseException) -> bool:
    """Whether the system said so; libraries such as polars pass it on in words only.

    >>> is_disk_full(OSError(28, "No space left on device")), is_disk_full(ValueError("nothing left"))
    (True, False)
    """
    words = os.strerror(errno.ENOSPC)
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(getattr(one, "errno", None) == errno.ENOSPC or words in str(one) for one in causes)
