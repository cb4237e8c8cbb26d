"""The same study on Ray: the same configurations, through the death of a node and of the driver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from studies.tests.search.conftest import GRID, SEARCH, Bench, MakeBench

from blended.data import InputError
from blended.studies.search import progress, ray_engine
from blended.studies.search.objective import FAILURE, SEED
from blended.studies.search.ray_engine import RayOptions
from blended.studies.search.testing import FAULTY_HIDDEN, ToyEvaluator, make_toy

# One cluster at a time: two of them on one machine end each other's processes.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

DRIVER = """
import sys
from functools import partial
from pathlib import Path
from blended.studies.search import ray_engine
from blended.studies.search.opening import join
from blended.studies.search.place import Place
from blended.studies.search.storage import open_storage
from blended.studies.search.testing import make_toy

place = Place(Path(sys.argv[1]), sys.argv[2])
study, plan = join(place, open_storage(place))
options = ray_engine.RayOptions(cpus_per_trial=1)
ray_engine.run(study, plan, place, options=options, make=partial(make_toy, seconds_per_epoch=0.3))
"""


@pytest.fixture
def no_ray() -> Iterator[None]:
    """Whatever a test starts is shut down."""
    import ray

    yield
    ray.shutdown()


def run(toy: Bench, **toys: Any) -> None:
    ray_engine.run(toy.start(), toy.plan, toy.place, options=RayOptions(), make=partial(make_toy, **toys))


def settings(toy: Bench) -> list[str]:
    """The configurations that were evaluated, in any order."""
    counted = progress.complete(progress.counted(toy.trials()))
    return sorted(repr((sorted(trial.params.items()), round(trial.value or 0, 12))) for trial in counted)


@pytest.mark.usefixtures("no_ray")
def test_both_engines_evaluate_the_same_grid(bench: MakeBench) -> None:
    """And a trial's own mistake is its own; and the best come back on fresh seeds."""
    text = GRID + "reevaluate: {top: 1, seeds: [9]}\n"
    by_worker, by_ray = bench(text, "worker"), bench(text, "ray")
    by_worker.start()
    by_worker.worker(ToyEvaluator(by_worker.root)).work()
    for path in by_worker.store.folder.rglob("*"):
        if path.is_file():
            path.unlink()  # So that Ray must compute.
    run(by_ray)
    assert settings(by_ray) == settings(by_worker)
    assert len(settings(by_ray)) == 7
    assert [t.user_attrs[SEED] for t in progress.reevaluated(by_ray.trials())] == [9]
    faulty = bench(GRID + "seeds: [4]\n", "faulty")
    run(faulty, fault="raise")
    failed = [trial for trial in faulty.trials() if trial.state == TrialState.FAIL]
    assert {trial.params["fusion.training.hidden"] for trial in failed} == {FAULTY_HIDDEN}
    assert all("a bug in the trial" in trial.user_attrs[FAILURE]["traceback"] for trial in failed)
    pruning = "pruner: {name: median, startup_trials: 2, warmup_epochs: 1, every: 1}"
    pruned = bench(SEARCH.replace("pruner: none", pruning), "pruned")
    run(pruned)
    states = [trial.state for trial in pruned.trials()]
    assert len(states) == 12
    assert states.count(TrialState.PRUNED) > 0
    assert set(states) <= {TrialState.PRUNED, TrialState.COMPLETE}


@pytest.mark.usefixtures("no_ray")
def test_a_node_dies_and_nothing_is_lost(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes with half-GPU trials; the second is killed when it has work."""
    import threading

    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 1})
    second = cluster.add_node(num_cpus=1, num_gpus=1)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        toy = bench(GRID)
        study = toy.start()

        def kill_later() -> None:
            while len(toy.evaluated()) < 2:
                time.sleep(0.1)
            cluster.remove_node(second, allow_graceful=False)

        killer = threading.Thread(target=kill_later)
        killer.start()
        make = partial(make_toy, seconds_per_epoch=0.3)
        options = RayOptions(gpus_per_trial=0.5, cpus_per_trial=0.5)
        ray_engine.run(study, toy.plan, toy.place, options=options, make=make)
        killer.join()
        assert [trial.state for trial in progress.counted(toy.trials())] == [TrialState.COMPLETE] * 6
        assert len(set(settings(toy))) == 6
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_the_driver_dies_and_is_restored(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    command = [sys.executable, "-W", "ignore", "-c", DRIVER, str(toy.root), toy.place.name]
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1"}
    first = subprocess.Popen(command, env=environment, start_new_session=True)
    end = time.monotonic() + 90
    while len(toy.evaluated()) < 2:
        assert time.monotonic() < end and first.poll() is None
        time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert progress.next_step(toy.plan, toy.trials()) != "done"
    subprocess.run(command, env=environment, check=True, timeout=150)
    assert [trial.state for trial in progress.counted(toy.trials())] == [TrialState.COMPLETE] * 6
    assert len(set(settings(toy))) == 6


def test_a_second_driver_is_refused(bench: MakeBench) -> None:
    from filelock import FileLock

    toy = bench(GRID)
    study = toy.start()
    with (
        FileLock(toy.place.folder / "driver.lock"),
        pytest.raises(InputError, match=r"another process drives study 'toy' on Ray"),
    ):
        ray_engine.run(study, toy.plan, toy.place, options=RayOptions())
    assert Path(toy.place.folder).is_dir()
