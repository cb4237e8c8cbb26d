"""Running a study on this machine: one worker here, others beside it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blended.data import InputError
from blended.data.index import read_index
from blended.eval.tasks import TASKS
from blended.studies import provenance, tracking
from blended.studies.folders import Folders
from blended.studies.search import progress, publishing, selection, space
from blended.studies.search.background import BackgroundUpload
from blended.studies.search.evaluation import check_features, evaluator_of
from blended.studies.search.objective import Objective
from blended.studies.search.place import Place
from blended.studies.search.plan import Plan
from blended.studies.search.records import STATES, reconcile, record_of
from blended.studies.search.spool import Spool
from blended.studies.search.study_view import view_address
from blended.studies.search.trial_store import TrialStore
from blended.studies.search.uploading import Uploader
from blended.studies.search.wording import in_words
from blended.studies.search.worker import Worker

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from blended.studies.search.ray_engine import RayOptions

Log = Callable[[str], None]


def check_ready(plan: Plan, root: Path) -> None:
    """Raises InputError before anything runs if features that a trial needs are not there, or the corpus has
    no such objectives."""
    corpus = plan.params.corpus
    labels = read_index(Folders(root).index(corpus)).corpus.space
    if plan.study.is_multi_objective and labels.task != "mixture":
        raise InputError(
            f"the study's objective is presence and salience, but {corpus!r} has no blends, so nothing has a "
            f"salience: use objective: score, which is its {TASKS[labels.task].headline.words}"
        )
    shown = {
        path: plan.config(chosen, plan.seeds[0]) for path, _, chosen in space.probes(plan.study.dimensions)
    }
    check_features(shown, Folders(root))


def with_corpus(plan: Plan, root: Path) -> Plan:
    """The plan, of the corpus as it is indexed now."""
    index = read_index(Folders(root).index(plan.params.corpus))
    return plan.model_copy(update={"corpus_hash": index.corpus_hash})


def check_corpus(study: "optuna.Study", plan: Plan, place: Place) -> None:
    """Raises InputError if finished trials are of another version of the corpus than is indexed now."""
    store, now = TrialStore(place.trials(plan.params.corpus)), with_corpus(plan, place.root).corpus_hash
    if others := selection.corpus_versions(plan, study.get_trials(deepcopy=False), store) - {now}:
        raise selection.other_corpus(plan, sorted(others)[0], now)


def work(
    study: "optuna.Study", plan: Plan, place: Place, *, device: str, log: Log, again: bool = False
) -> None:
    """One worker until the study is done or stopped; its results go to MLflow in the background.

    Raises InputError if the corpus has changed since the study was started.
    """
    check_corpus(study, plan, place)
    store, spool = TrialStore(place.trials(plan.params.corpus)), Spool(place.spool)
    evaluator = evaluator_of(plan, place, device, log)
    objective = Objective(plan, evaluator, store, log=log, again=again, where=_where(place.root, device))
    for trial in progress.complete(study.get_trials(deepcopy=False)):
        objective.restore(trial)
    uploader = make_uploader(plan, place)

    def finished(trial: "FrozenTrial") -> None:
        spool.put(record_of(plan, trial, store))
        log(_line(trial))

    with BackgroundUpload(uploader, log):
        try:
            Worker(study, objective, place, finished=finished, log=log).work()
        finally:
            reconcile(plan, study.get_trials(deepcopy=False), store, spool)


def work_on_ray(study: "optuna.Study", plan: Plan, place: Place, options: "RayOptions", *, log: Log) -> None:
    """Drives a study on a cluster; its results go to MLflow in the background; raises as `work` does."""
    from blended.studies.search import ray_engine

    check_corpus(study, plan, place)
    store, uploader = TrialStore(place.trials(plan.params.corpus)), make_uploader(plan, place)

    def spool_finished() -> None:
        reconcile(plan, study.get_trials(deepcopy=False), store, uploader.spool)

    with BackgroundUpload(uploader, log, before=spool_finished):
        ray_engine.run(study, plan, place, options=options, log=log)


def make_uploader(plan: Plan, place: Place) -> Uploader:
    """For this study, from this working folder."""
    folders = Folders(place.root)
    corpus = plan.params.corpus
    commit = provenance.git_commit(place.root)
    index = read_index(folders.index(corpus))
    tags = {
        "corpus": corpus,
        "synthetic": str(index.corpus.synthetic).lower(),
        "dvc_hash": provenance.dvc_hash(place.root, folders.corpus(corpus)),
        "git_commit": commit.sha,
        "git_dirty": str(commit.dirty).lower(),
    }
    uri, task = tracking.default_uri(place.root), index.corpus.space.task
    return Uploader(plan, Spool(place.spool), place.root, uri, tags, task)


def sync(study: "optuna.Study", plan: Plan, place: Place, log: Log) -> str | None:
    """Uploads what is left and writes the study's own run; returns the id of the experiment.

    None, after saying so, if MLflow does not answer.
    """
    store, uploader = TrialStore(place.trials(plan.params.corpus)), make_uploader(plan, place)
    reconcile(plan, study.get_trials(deepcopy=False), store, uploader.spool)
    try:
        uploader.upload()
        return publishing.publish(study, plan, store, uploader)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - the server may fail in any way; the results stay on disk
        first = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        log(f"MLflow at {uploader.uri} does not answer ({first}); results are on disk: `blended study sync`")
        return None


def address(experiment_id: str, name: str) -> str:
    """Where `make ui` shows the study."""
    return view_address("http://127.0.0.1:5000", experiment_id, name)


def spawn_workers(
    place: Place, number: int, *, device: str, storage: str | None
) -> Sequence["subprocess.Popen[bytes]"]:
    """Further `blended study work` processes; they end by themselves."""
    command = [sys.executable, "-m", "blended.studies", "study", "work", place.name]
    command += ["--root", str(place.root), "--device", device]
    # In the environment and not in the arguments, which others on the machine can read.
    environment = {**os.environ, **({"BLENDED_STUDY_STORAGE": storage} if storage else {})}
    return [subprocess.Popen(command, env=environment) for _ in range(number)]


def _line(trial: "FrozenTrial") -> str:
    """`trial 3 finished: 0.153 (fusion late, ...)`."""
    values = " ".join(f"{value:.3f}" for value in trial.values or ())
    state = STATES.get(trial.state, trial.state.name.lower())
    return f"trial {trial.number} {state}: {values or 'no value'} ({in_words(trial.params)})"


def _where(root: Path, device: str) -> dict[str, str]:
    commit = provenance.git_commit(root)
    return {
        "device": device,
        "host": socket.gethostname(),
        "git_commit": commit.sha,
        "git_dirty": str(commit.dirty).lower(),
    }
