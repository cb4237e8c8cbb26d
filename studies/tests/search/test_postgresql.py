"""Many workers on a real PostgreSQL server, which the test starts."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState
from studies.tests.search.conftest import GRID, JOIN_SECONDS, SEARCH, Bench, MakeBench

from blended.data import InputError
from blended.studies.search import progress
from blended.studies.search.objective import RESULT
from blended.studies.search.storage import open_storage
from toys.trials import EVALUATED, ToyEvaluator, quality

pytestmark = pytest.mark.system


def program(name: str) -> str:
    """Debian keeps the server's programs out of PATH."""
    found = shutil.which(name) or next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install postgresql")
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an empty database.

    PostgreSQL refuses to run as root, and another user may not enter the folders of pytest.
    """
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    make, control = program("initdb"), program("pg_ctl")
    with tempfile.TemporaryDirectory(prefix="blended-postgres-") as folder:
        if as_user:
            shutil.chown(folder, "postgres")
        port, database = free_port(), f"{folder}/db"
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        called = [*as_user, control, "-D", database, "-w"]
        for command in (
            [*as_user, make, "-D", database, "-U", "blended", "-A", "trust"],
            [*called, "-o", options, "-l", f"{folder}/log", "start"],
        ):
            subprocess.run(command, check=True, capture_output=True, cwd=folder)
        yield f"postgresql://blended@127.0.0.1:{port}/postgres"
        subprocess.run([*called, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)


def test_workers_share_a_study_and_survive_a_death(bench: MakeBench, server: str) -> None:
    toy = bench(SEARCH.replace("trials: 12", "trials: 20"))
    toy.start(server)
    # First and alone: beside the others it might find the study finished before it has begun.
    victim = toy.forked(ToyEvaluator(toy.root), url=server, dies_at="checkpoint")
    victim.join(JOIN_SECONDS)
    assert victim.exitcode == -signal.SIGKILL
    assert [trial.state for trial in toy.trials(server)] == [TrialState.RUNNING]
    workers = [toy.forked(ToyEvaluator(toy.root, seconds_per_epoch=0.02), url=server) for _ in range(4)]
    for worker in workers:
        worker.join(JOIN_SECONDS)
    assert [worker.exitcode for worker in workers] == [0] * 4
    counted = progress.counted(toy.trials(server))
    assert [trial.state for trial in counted] == [TrialState.COMPLETE] * 20
    for trial in counted:
        assert trial.value == pytest.approx(quality(toy.plan.config(dict(trial.params), 0)))
    assert not toy.place.database.exists(), "nothing goes into SQLite beside it"


def test_one_of_three_workers_is_requeued_and_nothing_is_lost(bench: MakeBench, server: str) -> None:
    """As by Slurm: told in the midst of a trial, it gives the trial back, and another takes its place."""
    alone = bench(GRID + "seeds: [3, 4]\n", "alone")
    alone.start(server)
    alone.worker(ToyEvaluator(alone.root), url=server).work()
    evaluated = sorted(alone.evaluated())
    (alone.root / EVALUATED).unlink()
    shutil.rmtree(alone.store.folder)

    toy = bench(GRID + "seeds: [3, 4]\n", "shared")
    toy.start(server)
    slow = ToyEvaluator(toy.root, seconds_per_epoch=0.3)
    requeued, *others = (toy.forked(slow, url=server) for _ in range(3))
    end = time.monotonic() + JOIN_SECONDS
    while not toy.evaluated():
        assert time.monotonic() < end
        time.sleep(0.05)
    requeued.terminate()
    requeued.join(JOIN_SECONDS)
    assert requeued.exitcode not in (0, -signal.SIGTERM), "it was at work, and ended as by Ctrl-C"
    workers = [*others, toy.forked(slow, url=server)]
    for worker in workers:
        worker.join(JOIN_SECONDS)
    assert [worker.exitcode for worker in workers] == [0] * 3

    def results(one: Bench) -> list[str]:
        counted = progress.counted(one.trials(server))
        assert [trial.state for trial in counted] == [TrialState.COMPLETE] * 6
        kept = [(trial.params, trial.value, trial.user_attrs[RESULT]["identities"]) for trial in counted]
        return sorted(map(repr, kept))

    assert results(toy) == results(alone)
    assert {*toy.evaluated()} == {*evaluated}
    for trial in progress.counted(toy.trials(server)):
        for identity in trial.user_attrs[RESULT]["identities"]:
            assert toy.store.predictions(toy.store.get(identity)).clip_ids


def test_no_server_is_said_in_a_sentence(bench: MakeBench) -> None:
    with pytest.raises(InputError, match=r"no database answers at 127.0.0.1:\d+/x .*: start it, or leave"):
        open_storage(bench().place, f"postgresql://nobody@127.0.0.1:{free_port()}/x")


def test_other_databases_are_refused(bench: MakeBench) -> None:
    with pytest.raises(InputError, match=r"storage 'mysql://x/y' is not supported: give sqlite"):
        open_storage(bench().place, "mysql://x/y")
