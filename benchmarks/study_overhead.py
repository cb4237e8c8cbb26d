"""What a study costs beside its trials: `python benchmarks/study_overhead.py [--ray]`.

Trials are toys; sampling (TPE), storage (SQLite), results on disk and MLflow (SQLite) are real. Prints
seconds per trial, what a second worker brings and, with --ray, what Ray costs. On a busy machine it says
little.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The toys of the tests, also for the processes of Ray.
TESTS = str(Path(__file__).parents[1] / "tests")
sys.path.append(TESTS)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (TESTS, os.environ.get("PYTHONPATH"))))

PARAMS = """\
corpus: demo
encoders: {logmel: {}}
recipes:
  toy: {fusion: {name: early, features: [logmel]}, seed: 0}
"""
STUDY = """\
base: toy
space:
  fusion.training.learning_rate: {{float: [1e-5, 1e-1], log: true}}
  fusion.training.hidden: {{int: [0, 64]}}
budget: {{trials: {trials}}}
pruner: none
"""


def make_study(root: Path, name: str, trials: int) -> None:
    """In a folder of its own."""
    from blended.studies.params import read_params
    from blended.studies.search.opening import start
    from blended.studies.search.reading import read_study
    from blended.studies.search.storage import Place, open_storage

    root.mkdir(exist_ok=True)
    (root / "params.yaml").write_text(PARAMS)
    (root / f"{name}.yaml").write_text(STUDY.format(trials=trials))
    plan = read_study(root / f"{name}.yaml", read_params(root / "params.yaml"))
    place = Place(root, name)
    start(place, plan, open_storage(place))


def work(root: Path, name: str, seconds_per_epoch: float) -> float:
    """One worker with tracking; returns seconds from its first trial until everything is in MLflow."""
    from blended.studies.search.mlflow_runs import StudyRuns
    from blended.studies.search.objective import Objective
    from blended.studies.search.opening import join
    from blended.studies.search.results import TrialStore
    from blended.studies.search.storage import Place, open_storage
    from blended.studies.search.worker import Worker
    from blended.studies.tracking import default_uri
    from toys.trials import ToyEvaluator

    place = Place(root, name)
    study, plan = join(place, open_storage(place))
    store = TrialStore(place.trials("demo"))
    objective = Objective(plan, ToyEvaluator(root, seconds_per_epoch=seconds_per_epoch), store, log=print)
    runs = StudyRuns(plan, store, root, place.mlflow_lock, default_uri(root), {}, print)
    started = time.monotonic()
    Worker(study, objective, place, finished=runs.finished, log=print).work()
    runs.catch_up(study.get_trials(deepcopy=False))
    return time.monotonic() - started


def several(root: Path, name: str, seconds_per_epoch: float, workers: int) -> float:
    """Seconds of so many processes, their start included."""
    command = [sys.executable, __file__, "--work", str(root), name, str(seconds_per_epoch)]
    started = time.monotonic()
    processes = [subprocess.Popen(command) for _ in range(workers)]
    if any(process.wait() for process in processes):
        raise SystemExit("a worker failed")
    return time.monotonic() - started


def span(root: Path, name: str) -> float:
    """Seconds from the start of the first trial, when all workers are up, to the end of the last."""
    from blended.studies.search.opening import join
    from blended.studies.search.storage import Place, open_storage

    place = Place(root, name)
    trials = join(place, open_storage(place))[0].get_trials()
    first = min(trial.datetime_start for trial in trials if trial.datetime_start)
    last = max(trial.datetime_complete for trial in trials if trial.datetime_complete)
    return (last - first).total_seconds()


def measure_ray(root: Path) -> None:
    """Start of Ray on this machine, and twelve toys through it."""
    from functools import partial

    from blended.studies.search import ray_engine
    from blended.studies.search.opening import join
    from blended.studies.search.storage import Place, open_storage
    from toys.trials import make_toy

    started = time.monotonic()
    ray_engine.connect(ray_engine.RayOptions())
    print(f"Ray starts in {time.monotonic() - started:.1f} s")
    make_study(root, "ray", 12)
    place = Place(root, "ray")
    study, plan = join(place, open_storage(place))
    started = time.monotonic()
    ray_engine.run(
        study, plan, place, options=ray_engine.RayOptions(), finished=print, log=print, make=partial(make_toy)
    )
    print(f"12 trivial trials on Ray: {time.monotonic() - started:.1f} s, first actors included")


def main() -> None:
    """Prints all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--work", nargs=3, metavar=("ROOT", "NAME", "SECONDS"), help="used by itself")
    options = parser.parse_args()
    if options.work:
        work(Path(options.work[0]), options.work[1], float(options.work[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_study(root, "trivial", options.trials)
        took = several(root, "trivial", 0.0, 1)
        print(
            f"{options.trials} trivial trials, 1 worker: {took:.1f} s = {took / options.trials:.3f} s each "
            f"(start, sampling, storage, tracking)"
        )
        times: list[float] = []
        for workers in (1, 2):
            # Two seconds each: five epochs of 0.4 s. Waiting, so that the cores do not decide.
            # In folders of their own: what was evaluated once is not evaluated again.
            own, name = root / str(workers), "waiting"
            make_study(own, name, 40)
            several(own, name, 0.4, workers)
            times.append(span(own, name))
            print(f"40 trials of 2 s, {workers} worker(s): {times[-1]:.1f} s from the first to the last")
        print(f"two workers: {times[0] / times[1]:.2f} times the throughput")
        if options.ray:
            measure_ray(root)


if __name__ == "__main__":
    main()
