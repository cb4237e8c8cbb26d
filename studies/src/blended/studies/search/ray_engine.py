"""Ray Tune: the same study file, on a cluster.

Every trial is an actor that calls the same objective as a worker does; the driver asks the study's sampler
and pruner and writes into the study's storage. Actors are used again, so that each imports torch once;
pooled features are mapped, once per machine (`mapped_memory`). The working folder must be on a file system
that all machines see.
"""

import io
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from filelock import FileLock, Timeout

from blended.data import InputError
from blended.studies.search import progress, space
from blended.studies.search.objective import RESULT, SEED, Evaluator, result, values
from blended.studies.search.plan import Plan
from blended.studies.search.results import TrialStore
from blended.studies.search.storage import Place
from blended.studies.search.worker import Finished

if TYPE_CHECKING:
    import optuna

    from blended.studies.search.ray_search import StudySearch

METRIC = "score"
METRICS = ("presence", "salience")
MAX_FAILURES = 3
"""Machines that a trial may lose before it counts as failed."""
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TQDM_PATCH_PRINT": "0",  # Or Ray replaces `print` at any moment, which nobody can pickle then.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # Pages of its own state where a node dies; we say so in a sentence.
    "TUNE_GLOBAL_CHECKPOINT_S": "5",  # How often the driver saves what it needs to be restored.
}
"""Ray's, unless set otherwise; read when it is imported."""

MakeEvaluator = Callable[[Plan, Place, str], Evaluator]
"""(plan, place, device) -> what evaluates; called once per actor."""


@dataclass(frozen=True)
class RayOptions:
    """Resources."""

    address: str = ""
    """`auto`, HOST:PORT, or empty for this machine alone."""
    gpus_per_trial: float = 0.0
    cpus_per_trial: float = 1.0


def real_evaluator(plan: Plan, place: Place, device: str) -> Evaluator:
    """Trains."""
    from blended.studies.progress import say
    from blended.studies.search.evaluation import evaluator_of

    return evaluator_of(plan, place, device, say)


def run(
    study: "optuna.Study",
    plan: Plan,
    place: Place,
    *,
    options: RayOptions,
    finished: Finished,
    log: Callable[[str], None],
    make: MakeEvaluator = real_evaluator,
) -> None:
    """Runs a study to its end, or goes on where a driver that died left off.

    `finished` is told of every trial that ended, `log` of lost machines; Ray pickles both.


    Raises InputError if another driver is at it, or no cluster answers.
    """
    place.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place.folder / "driver.lock", timeout=0):
            connect(options)
            search = _search(study, plan, finished)
            with redirect_stdout(_WithoutRaylets(sys.stdout)):
                _drive(search, place, _trainable(plan, place, options, make), log)
    except Timeout as error:
        raise InputError(
            f"another process drives study {place.name!r} on Ray: watch it with `blended study status "
            f"{place.name}`; a second driver would start every trial twice"
        ) from error


class _WithoutRaylets(io.TextIOBase):
    """A screen without what Ray prints of a node that died: its whole state, from a thread of its own, which
    no option of Ray silences. That the node was lost is said by the scheduler."""

    def __init__(self, screen: TextIO) -> None:
        self.screen = screen

    def write(self, text: str, /) -> int:
        if threading.current_thread().name != "ray_listen_error_messages":
            self.screen.write(text)
        return len(text)

    def flush(self) -> None:
        self.screen.flush()


def connect(options: RayOptions) -> None:
    """Joins a cluster, or starts one on this machine; raises InputError if none answers."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # Of tracebacks for machines that died.
    if ray.is_initialized():
        return
    try:
        ray.init(
            # Without an address Ray would join whatever cluster was last started on this machine.
            address=options.address or "local",
            include_dashboard=False if not options.address else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except ConnectionError as error:
        raise InputError(
            f"no Ray cluster answers at {options.address!r}: start one with `ray start --head`, or leave "
            f"--address out to use this machine"
        ) from error


def _search(study: "optuna.Study", plan: Plan, finished: Finished) -> "StudySearch":
    from blended.studies.search.ray_search import StudySearch

    metric, mode = (list(METRICS), ["max", "max"]) if plan.study.is_multi_objective else (METRIC, "max")
    return StudySearch(plan, study, metric, mode, finished)


def _drive(search: "StudySearch", place: Place, trainable: Any, log: Callable[[str], None]) -> None:
    from ray import tune

    from blended.studies.search.ray_search import give_back

    experiment, study = place.ray.resolve() / place.name, search.study
    if experiment.is_dir() and tune.Tuner.can_restore(str(experiment)):
        tune.Tuner.restore(str(experiment), trainable, resume_unfinished=True).fit()
    # What a driver that died had begun and not saved; this one holds the lock, so nobody runs it.
    give_back(study, study.get_trials(deepcopy=False))
    if (
        not progress.is_stopped(study)
        and progress.next_step(search.plan, study.get_trials(deepcopy=False)) != "done"
    ):
        _tuner(search, experiment, trainable, log).fit()


def _tuner(search: "StudySearch", experiment: Path, trainable: Any, log: Callable[[str], None]) -> Any:
    from ray import tune

    from blended.studies.search.ray_search import StudyScheduler

    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=search,
            num_samples=-1,  # The search itself says when it is over.
            scheduler=StudyScheduler(search, log),
            reuse_actors=True,
            time_budget_s=search.plan.study.budget.seconds,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=experiment.name,
            storage_path=str(experiment.parent),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )


def _folder_name(trial: Any) -> str:
    """Short: the default spells out every setting."""
    return f"trial-{trial.trial_id}"


def _trainable(plan: Plan, place: Place, options: RayOptions, make: MakeEvaluator) -> Any:
    from ray import tune

    device = "cuda" if options.gpus_per_trial else "cpu"
    given = {
        "plan_json": plan.model_dump_json(by_alias=True, exclude_unset=True),
        "root": str(place.root.resolve()),
        "name": place.name,
        "device": device,
        "make": make,
    }
    resources = {"cpu": options.cpus_per_trial, "gpu": options.gpus_per_trial}
    return tune.with_resources(tune.with_parameters(one_trial, **given), resources)


_EVALUATORS: dict[tuple[str, str], Evaluator] = {}
"""Of this actor: kept between its trials, with the features that it has mapped."""


def one_trial(
    config: Mapping[str, Any], *, plan_json: str, root: str, name: str, device: str, make: MakeEvaluator
) -> None:
    """Runs on a node: reports after epochs, and at the end what goes into the storage.

    A trial's own mistake is reported, not raised: only what the machine does counts against MAX_FAILURES.
    """
    from ray import tune

    from blended.studies.progress import say
    from blended.studies.search.objective import Objective
    from blended.studies.search.ray_search import ENDED, FAILED, FRESH

    plan, place = Plan.model_validate_json(plan_json), Place(Path(root), name)
    if (root, name) not in _EVALUATORS:
        _EVALUATORS[root, name] = make(plan, place, device)
    store = TrialStore(place.trials(plan.params.corpus))
    objective = Objective(plan, _EVALUATORS[root, name], store, log=say)
    fresh = config.get(FRESH)
    trial = RemoteTrial({} if fresh is None else {SEED: fresh})
    try:
        outcomes = objective.outcomes(trial, space.from_params(plan.study.dimensions, config["params"]))
        last = values(plan, outcomes)
    except Exception as error:  # noqa: BLE001 - reported with its traceback
        failure = {"error": repr(error)[:500], "traceback": traceback.format_exc()}
        tune.report({METRIC: 0.0, "presence": 0.0, "salience": 0.0, FAILED: json.dumps(failure)})
        return
    numbers: dict[str, Any] = (
        dict(zip(METRICS, last, strict=True)) if isinstance(last, tuple) else {METRIC: last}
    )
    found = {**result(outcomes), "device": device, "host": os.uname().nodename}
    # As text: Tune takes nested results apart.
    tune.report({**numbers, ENDED: True, RESULT: json.dumps(found)})


@dataclass
class RemoteTrial:
    """A trial on a node: what it has seen goes to the driver, whose pruner may end it then and there."""

    user_attrs: dict[str, Any]
    seen: dict[int, float] = field(default_factory=dict[int, float])
    """Steps and values since the last look."""

    def report(self, value: float, step: int) -> None:
        """Keeps a value for the next look."""
        self.seen[step] = value

    def should_prune(self) -> bool:
        """Never, where it returns."""
        from ray import tune

        from blended.studies.search.ray_search import SEEN

        tune.report({METRIC: [*self.seen.values()][-1], SEEN: json.dumps(self.seen)})
        self.seen.clear()
        return False
