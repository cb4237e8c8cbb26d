"""The same study on Ray: the same configurations, through the death of a node and of the driver."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from studies.tests.search.conftest import GRID, JOIN_SECONDS, SEARCH, Bench, MakeBench

from blended.data import InputError
from blended.studies.search import progress, ray_engine
from blended.studies.search.objective import FAILURE, SEED
from blended.studies.search.ray_engine import RayOptions
from blended.studies.search.storage import Place
from toys.trials import FAULTY_HIDDEN, ToyEvaluator, make_toy

# One cluster at a time: two of them on one machine end each other's processes.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("only_ray")]

DRIVER = """
import sys
from functools import partial
from pathlib import Path
from blended.studies.search import ray_engine
from blended.studies.search.opening import join
from blended.studies.search.storage import Place
from blended.studies.search.storage import open_storage
from toys.trials import make_toy

place = Place(Path(sys.argv[1]), sys.argv[2])
study, plan = join(place, open_storage(place))
options = ray_engine.RayOptions(sys.argv[3])
make = partial(make_toy, seconds_per_epoch=0.2)
ray_engine.run(study, plan, place, options=options, finished=print, log=print, make=make)
"""
PRUNERS = (
    "{name: median, startup_trials: 2, warmup_epochs: 1, every: 2}",
    "{name: hyperband, warmup_epochs: 1, every: 1}",
    "{name: asha, warmup_epochs: 1, every: 1}",
    "wilcoxon\nseeds: [0, 1]",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """One node for all tests, where two trials run at once, however many cores there are; we have joined."""
    os.environ.update(ray_engine.ENVIRONMENT)
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "num_gpus": 1, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def run(toy: Bench, cpus_per_trial: float = 1.0, **toys: Any) -> None:
    study, make, options = toy.start(), partial(make_toy, **toys), RayOptions(cpus_per_trial=cpus_per_trial)
    ray_engine.run(study, toy.plan, toy.place, options=options, finished=nobody, log=print, make=make)


def nobody(trial: Any) -> None:
    """Is told of every trial."""


def settings(toy: Bench) -> list[str]:
    """The configurations that were evaluated, in any order."""
    counted = progress.complete(progress.counted(toy.trials()))
    return sorted(repr((sorted(trial.params.items()), round(trial.value or 0, 12))) for trial in counted)


@pytest.mark.usefixtures("cluster")
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


@pytest.mark.usefixtures("cluster")
def test_both_engines_prune_by_the_same_rule(bench: MakeBench, tmp_path: Path) -> None:
    """One trial at a time, with the same draws: the same trials are given up, after the same values."""
    for number, pruner in enumerate(PRUNERS):
        text = SEARCH.replace("pruner: none", f"sampler: random\npruner: {pruner}")
        # Under one name, from which hyperband draws; in folders where no result is found.
        given = bench(text, f"pruned{number}")
        found: list[Any] = []
        for name in ("worker", "ray"):
            toy = replace(given, place=Place(tmp_path / f"{name}{number}", given.place.name))
            toy.start()
            if name == "worker":
                toy.worker(ToyEvaluator(toy.root)).work()
            else:
                run(toy, cpus_per_trial=2.0)
            found.append([(t.params, t.state, t.value, t.intermediate_values) for t in toy.trials()])
        assert found[0] == found[1], pruner
        pruned = [seen for _, state, _, seen in found[1] if state == TrialState.PRUNED]
        assert pruned and all(pruned), pruner


def test_a_node_dies_and_nothing_is_lost(
    bench: MakeBench, cluster: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two nodes with half-GPU trials; the second is killed on the way, and Ray's state is on no screen."""
    second = cluster.add_node(num_cpus=1, num_gpus=1, resources={"second": 1})
    toy = bench(GRID)
    study = toy.start()
    over = threading.Event()

    def kill_later() -> None:
        while not over.wait(0.1):
            if len(toy.evaluated()) >= 2:
                cluster.remove_node(second, allow_graceful=False)
                return

    killer = threading.Thread(target=kill_later)
    killer.start()
    try:
        make = partial(make_toy, seconds_per_epoch=0.3)
        options = RayOptions(gpus_per_trial=0.5, cpus_per_trial=0.5)
        ray_engine.run(study, toy.plan, toy.place, options=options, finished=nobody, log=print, make=make)
    finally:
        over.set()
        killer.join()
    assert second not in cluster.list_all_nodes(), "it was killed on the way"
    assert [trial.state for trial in progress.counted(toy.trials())] == [TrialState.COMPLETE] * 6
    assert len(set(settings(toy))) == 6
    out, err = capfd.readouterr()
    lost = "a node of the Ray cluster was lost, or what ran there was killed: its trials run again"
    assert out.splitlines() in ([lost], []), "nothing where it had no trial at that moment"
    assert err == ""


def test_the_driver_dies_and_is_restored(bench: MakeBench, cluster: Any) -> None:
    toy = bench(GRID)
    toy.start()
    command = [sys.executable, "-W", "ignore", "-c", DRIVER, str(toy.root), toy.place.name, cluster.address]
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1"}
    first = subprocess.Popen(command, env=environment, start_new_session=True)
    end = time.monotonic() + JOIN_SECONDS
    while len(toy.evaluated()) < 2:
        assert time.monotonic() < end and first.poll() is None
        time.sleep(0.05)
    # Two run at once, so two or four of six are done: never all.
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert progress.next_step(toy.plan, toy.trials()) != "done"
    subprocess.run(command, env=environment, check=True, timeout=JOIN_SECONDS)
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
        ray_engine.run(study, toy.plan, toy.place, options=RayOptions(), finished=nobody, log=print)
    assert Path(toy.place.folder).is_dir()
