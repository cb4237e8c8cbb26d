"""Running a study on this machine: one worker here, others beside it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from blended.data import InputError
from blended.data.index import read_index
from blended.eval.measures.blends import SALIENCE
from blended.eval.tasks import TASKS
from blended.studies import tracking
from blended.studies.folders import Folders
from blended.studies.identity import dvc_hash, git_commit
from blended.studies.search import progress, report, space
from blended.studies.search.evaluation import check_features, evaluator_of
from blended.studies.search.mlflow_runs import StudyRuns
from blended.studies.search.objective import Objective
from blended.studies.search.plan import Plan
from blended.studies.search.records import STATES
from blended.studies.search.results import TrialStore
from blended.studies.search.space import in_words
from blended.studies.search.storage import Place
from blended.studies.search.study_view import view_address
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
    if plan.study.is_multi_objective and SALIENCE not in TASKS[labels.task].measures:
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
    if others := progress.corpus_versions(plan, study.get_trials(deepcopy=False), store) - {now}:
        raise progress.other_corpus(plan, sorted(others)[0], now)


def work(
    study: "optuna.Study", plan: Plan, place: Place, *, device: str, log: Log, again: bool = False
) -> None:
    """One worker until the study is done or stopped; every trial goes to MLflow when it ends.

    Raises InputError if the corpus has changed since the study was started.
    """
    check_corpus(study, plan, place)
    store = TrialStore(place.trials(plan.params.corpus))
    evaluator = evaluator_of(plan, place, device, log)
    objective = Objective(plan, evaluator, store, log=log, again=again, where=_where(place.root, device))
    for trial in progress.complete(study.get_trials(deepcopy=False)):
        objective.restore(trial)
    runs = study_runs(plan, place, log)
    try:
        Worker(study, objective, place, finished=partial(_finished, runs), log=log).work()
    finally:
        runs.catch_up(study.get_trials(deepcopy=False))


def work_on_ray(study: "optuna.Study", plan: Plan, place: Place, options: "RayOptions", *, log: Log) -> None:
    """Drives a study on a cluster; every trial goes to MLflow when it ends; raises as `work` does."""
    from blended.studies.search import ray_engine

    check_corpus(study, plan, place)
    runs = study_runs(plan, place, log)
    try:
        ray_engine.run(study, plan, place, options=options, finished=partial(_finished, runs), log=log)
    finally:
        runs.catch_up(study.get_trials(deepcopy=False))


def _finished(runs: StudyRuns, trial: "FrozenTrial") -> None:
    runs.finished(trial)
    runs.log(_line(trial))


def study_runs(plan: Plan, place: Place, log: Log) -> StudyRuns:
    """The runs of this study in MLflow, written from this working folder."""
    folders = Folders(place.root)
    corpus = plan.params.corpus
    commit = git_commit(place.root)
    index = read_index(folders.index(corpus))
    tags = {
        "corpus": corpus,
        "synthetic": str(index.corpus.synthetic).lower(),
        "dvc_hash": dvc_hash(place.root, folders.corpus(corpus)),
        "git_commit": commit.sha,
        "git_dirty": str(commit.dirty).lower(),
    }
    store, uri = TrialStore(place.trials(corpus)), tracking.default_uri(place.root)
    return StudyRuns(plan, store, place.root, place.mlflow_lock, uri, tags, log, index.corpus.space.task)


def sync(study: "optuna.Study", plan: Plan, place: Place, log: Log) -> str | None:
    """Writes to MLflow what is missing, and the study's own run; returns the id of the experiment.

    None, after saying so, if MLflow does not answer.
    """
    runs = study_runs(plan, place, log)
    try:
        runs.sync(study.get_trials(deepcopy=False))
        return report.publish(study, runs)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - the server may fail in any way; the results stay on disk
        first = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        log(f"MLflow at {runs.uri} does not answer ({first}); results are on disk: `blended study sync`")
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
    commit = git_commit(root)
    return {
        "device": device,
        "host": socket.gethostname(),
        "git_commit": commit.sha,
        "git_dirty": str(commit.dirty).lower(),
    }
