"""A study in MLflow: its own run is the parent, every trial a child.

Nothing is kept for MLflow: what a run says lies in Optuna's storage and the trial store, and which runs are
there MLflow is asked. So writing twice changes nothing: a run is looked up by the key of its trial before it
is made, and one that was left half-way is completed with the same values at the same times.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial

from blended.data.errors import InputError
from blended.data.labels import Task
from blended.studies import tracking
from blended.studies.search import progress, study_view
from blended.studies.search.plan import Plan
from blended.studies.search.records import STATES, TrialRecord, key_of, record_of
from blended.studies.search.results import TrialStore

STATUS = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
MAX_METRICS, MAX_PARAMS, MAX_TAG_CHARACTERS, MAX_RUNS = 1000, 100, 5000, 1000
"""Of one call of MLflow."""
CONNECT_SECONDS = 2
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's own, unless set otherwise: by default a call to a server that has gone takes minutes to fail, and
here it is tried again anyway."""
PAUSE_SECONDS, PAUSE_TIMES = 5.0, 10
"""After a failure none is tried for so long, nor for so many times as it took: a server that does not answer
costs a study a tenth of its time at most."""
LOCK_SECONDS, LAST_SECONDS = 5, 60
"""How long the end of a trial, and that of a worker, waits for others that write."""


@dataclass
class StudyRuns:
    """The runs of one study, written from one working folder."""

    plan: Plan
    store: TrialStore
    root: Path
    lock: Path
    """Held by whoever writes, so that no run is made twice."""
    uri: str
    corpus_tags: dict[str, str]
    """What holds for all trials: commit, data hash, whether the corpus is synthetic."""
    log: Callable[[str], None]
    task: Task = "mixture"
    """Of the corpus: which measures there are to show."""
    problem: str = ""
    """Why the last attempt failed; empty if it did not."""
    not_before: float = 0.0
    """When the next attempt may be made, by the monotonic clock."""

    @property
    def experiment(self) -> str:
        """Studies have one of their own per corpus: thousands of trials would bury the recipes."""
        return f"{self.plan.params.corpus}-studies"

    def finished(self, trial: FrozenTrial) -> None:
        """Writes a trial that has just ended; where that fails, says so once and leaves it to `sync`."""
        if time.monotonic() >= self.not_before:
            self._tries(lambda: self.write(trial))

    def catch_up(self, trials: Sequence[FrozenTrial]) -> None:
        """At the end of a worker: writes what it and those that died missed, or says what is left to do."""
        if not self._tries(lambda: self.sync(trials)):
            reason = f" ({self.problem})" if self.problem else ""
            self.log(
                f"results are on disk and not all in MLflow{reason}: `blended study sync {self.plan.name}` "
                f"writes those that are missing"
            )

    def _tries(self, write: Callable[[], object]) -> bool:
        started = time.monotonic()
        try:
            write()
        except InputError:
            raise
        except Timeout:  # Others write; that is no problem of the server.
            return False
        except Exception as error:  # noqa: BLE001 - whatever the server does, trials go on; it is tried again
            first = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            if not self.problem:
                self.log(f"MLflow does not answer ({first}); results are kept on disk meanwhile")
            self.problem = first
            now = time.monotonic()
            self.not_before = now + max(PAUSE_SECONDS, PAUSE_TIMES * (now - started))
            return False
        self.problem = ""
        return True

    def write(self, trial: FrozenTrial) -> None:
        """One trial that has ended; raises whatever MLflow raises when it does not answer."""
        with FileLock(self.lock, timeout=LOCK_SECONDS):
            client, experiment_id = self.open()
            parent = self.parent(client, experiment_id)
            self._one(client, experiment_id, parent, record_of(self.plan, trial, self.store))

    def sync(self, trials: Sequence[FrozenTrial]) -> int:
        """Writes every trial that has ended and is not there; returns how many; raises as `write` does."""
        with FileLock(self.lock, timeout=LAST_SECONDS):
            client, experiment_id = self.open()
            parent = self.parent(client, experiment_id)
            there = self._keys(client, experiment_id)
            missing = {
                key_of(trial): trial
                for trial in progress.counted(trials)
                if trial.state in STATES and key_of(trial) not in there
            }
            for trial in missing.values():
                self._one(client, experiment_id, parent, record_of(self.plan, trial, self.store))
        return len(missing)

    def open(self) -> tuple[Any, str]:
        """A client and the id of the experiment; raises at once where no server listens."""
        from mlflow import MlflowClient

        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        check_answers(self.uri)
        experiment_id = tracking.open_experiment(self.uri, self.experiment, self.root, self.task)
        return MlflowClient(tracking_uri=self.uri), experiment_id

    def parent(self, client: Any, experiment_id: str) -> str:
        """The id of the study's own run, made if it is not there."""
        from mlflow.entities import Param

        found = _find(client, experiment_id, f"tags.study = '{self.plan.name}' and tags.kind = 'study'")
        if found is not None:
            return str(found.info.run_id)
        study = self.plan.study
        tags = {**self.corpus_tags, "study": self.plan.name, "kind": "study", "question": study.question}
        run = client.create_run(experiment_id, run_name=self.plan.name, tags=tags)
        settings = tracking.flatten(study.model_dump(mode="json", exclude_unset=True, by_alias=True))
        parameters = [Param(f"study.{key}", value) for key, value in settings.items()]
        for chunk in _in_batches(parameters, MAX_PARAMS):
            client.log_batch(run.info.run_id, params=chunk)
        study_view.provision(client, experiment_id, self.plan, self.task)
        return str(run.info.run_id)

    def _keys(self, client: Any, experiment_id: str) -> set[str]:
        """Of the trials whose runs are there and complete."""
        query = f"tags.study = '{self.plan.name}' and tags.kind = 'trial' and attributes.status != 'RUNNING'"
        found: set[str] = set()
        token: str | None = None
        while token != "":
            page = client.search_runs([experiment_id], query, max_results=MAX_RUNS, page_token=token)
            found |= {run.data.tags["trial_key"] for run in page}
            token = page.token or ""
        return found

    def _one(self, client: Any, experiment_id: str, parent: str, record: TrialRecord) -> None:
        from mlflow.entities import Metric, Param

        query = f"tags.study = '{record.study}' and tags.trial_key = '{record.key}'"
        run = _find(client, experiment_id, query)
        if run is None:
            run = client.create_run(
                experiment_id,
                run_name=f"{record.study}#{record.number}",
                start_time=record.started_ms,
                tags={**self._tags(record), "mlflow.parentRunId": parent},
            )
        elif run.info.status != "RUNNING":
            return
        run_id = run.info.run_id
        metrics = [Metric(key, value, record.ended_ms, 0) for key, value in record.metrics.items()]
        for name, curve in record.curves.items():
            metrics += [Metric(name, value, record.ended_ms, epoch) for epoch, value in curve.items()]
        params = [Param(key, value) for key, value in record.params.items()]
        for chunk in _in_batches(params, MAX_PARAMS):
            client.log_batch(run_id, params=chunk)
        for chunk in _in_batches(metrics, MAX_METRICS):
            client.log_batch(run_id, metrics=chunk)
        if record.traceback:
            client.log_text(run_id, record.traceback, "traceback.txt")
        client.set_terminated(run_id, STATUS[record.state], end_time=record.ended_ms)

    def _tags(self, record: TrialRecord) -> dict[str, str]:
        tags = {
            **self.corpus_tags,
            **record.tags,
            "study": record.study,
            "kind": "trial",
            "trial": str(record.number),
            "trial_key": record.key,
            "state": record.state,
        }
        return {name: value[:MAX_TAG_CHARACTERS] for name, value in tags.items()}


def check_answers(uri: str) -> None:
    """Raises ConnectionError at once where no server listens: MLflow's own retries take minutes."""
    address = urlparse(uri)
    if address.scheme in ("http", "https"):
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname or "", port), timeout=CONNECT_SECONDS).close()


def _in_batches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Parts of at most so many items."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _find(client: Any, experiment_id: str, query: str) -> Any:
    """The one run that a query finds, or None."""
    found = client.search_runs([experiment_id], query, max_results=1)
    return found[0] if found else None
