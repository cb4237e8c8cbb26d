"""Finished trials as MLflow runs: the study is the parent, every trial a child.

Uploading twice changes nothing: a run is looked up by the key of its trial before it is made, and a run
that was left half-way is completed with the same values at the same times.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from filelock import FileLock, Timeout

from blended.data.labels import Task
from blended.studies import tracking
from blended.studies.search import study_view
from blended.studies.search.plan import Plan
from blended.studies.search.spool import Spool, TrialRecord

STATUS = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
MAX_METRICS, MAX_PARAMS, MAX_TAG_CHARACTERS = 1000, 100, 5000
"""Of one call of MLflow."""
CONNECT_SECONDS = 2
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's own, unless set otherwise: by default a call to a server that has gone takes minutes to fail, and
here it is tried again anyway."""


@dataclass
class Uploader:
    """Brings a study's records to MLflow."""

    plan: Plan
    spool: Spool
    root: Path
    uri: str
    corpus_tags: dict[str, str]
    """What holds for all trials: commit, data hash, whether the corpus is synthetic."""
    task: Task = "mixture"
    """Of the corpus: which measures there are to show."""

    @property
    def experiment(self) -> str:
        """Studies have one of their own per corpus: thousands of trials would bury the recipes."""
        return f"{self.plan.params.corpus}-studies"

    def upload(self, wait_seconds: float | int = 0) -> int:
        """Uploads what waits; returns how many arrived, 0 if another process is at it for so long.

        Raises whatever MLflow raises when it does not answer; what has not arrived then still waits.
        """
        if not self.spool.num_waiting():
            return 0
        try:
            with FileLock(self.spool.lock, timeout=wait_seconds):
                return self._upload()
        except Timeout:
            return 0

    def _upload(self) -> int:
        from mlflow import MlflowClient

        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        check_answers(self.uri)
        experiment_id = tracking.open_experiment(self.uri, self.experiment, self.root, self.task)
        client = MlflowClient(tracking_uri=self.uri)
        parent = self.parent(client, experiment_id)
        done = 0
        for record in self.spool.waiting():
            self._one(client, experiment_id, parent, record)
            self.spool.arrived(record.key)
            done += 1
        return done

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
