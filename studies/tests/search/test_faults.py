"""Whatever dies, fails or is full: no finished trial is lost, none counts twice, nothing is half-written."""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from optuna.trial import TrialState
from studies.tests.search.conftest import GRID, JOIN_SECONDS, SEARCH, Bench, MakeBench

from blended.data import InputError
from blended.data.checksums import DamagedError
from blended.studies.search import progress, storage
from blended.studies.search.objective import FAILURE, RESULT
from blended.studies.search.records import record_of
from blended.studies.search.worker import MAX_FAILURES_IN_A_ROW
from toys.trials import EVALUATED, FAULTY_HIDDEN, ToyEvaluator, quality


def check_complete(toy: Bench, number: int) -> None:
    """Every trial that counts is finished, stored whole and once for MLflow."""
    trials = toy.trials()
    counted = progress.counted(trials)
    assert [trial.state for trial in counted] == [TrialState.COMPLETE] * number
    for trial in counted:
        (identity,) = trial.user_attrs[RESULT]["identities"]
        outcome = toy.store.get(identity)
        assert trial.value == pytest.approx(outcome.mean_inner["score"])
        assert len(toy.store.predictions(outcome).clip_ids) > 0
    identities = {trial.user_attrs[RESULT]["identities"][0] for trial in counted}
    keys = [record_of(toy.plan, trial, toy.store).key for trial in counted]
    assert {*keys} == identities and len(keys) == len(identities)
    left = [path for path in toy.root.rglob("*.tmp*") if path.stat().st_size and "studies" not in path.parts]
    assert not left, "half-written files"


@pytest.mark.parametrize("moment", ["epoch", "checkpoint", "log"])
def test_kill_9_loses_nothing(bench: MakeBench, moment: str) -> None:
    toy = bench(GRID)
    toy.start()
    # Each is killed at a fixed point, in the second trial or at the first result: nothing depends on timing.
    if moment == "epoch":
        victim = toy.forked(ToyEvaluator(toy.root, fault="kill"))
    else:
        victim = toy.forked(ToyEvaluator(toy.root), dies_at=moment)
    victim.join(JOIN_SECONDS)
    assert victim.exitcode == -signal.SIGKILL
    before = len(toy.evaluated())
    assert before == 1
    toy.worker(ToyEvaluator(toy.root), heartbeat=1).work()
    check_complete(toy, 6)
    # Only what was not stored is evaluated anew: the trial that was cut off.
    assert len(toy.evaluated()) - before == {"epoch": 5, "checkpoint": 6, "log": 5}[moment]


def test_a_worker_that_dies_before_its_first_heartbeat_is_missed(bench: MakeBench) -> None:
    """As if it had been killed between taking a trial and saying so: Optuna alone would wait for ever."""
    toy = bench(GRID)
    toy.start().ask()
    toy.worker(ToyEvaluator(toy.root), heartbeat=1).work()
    check_complete(toy, 6)


def test_eight_writers_on_sqlite_lose_nothing(bench: MakeBench) -> None:
    toy = bench(SEARCH.replace("trials: 12", "trials: 24") + "sampler: random\n")
    toy.start()
    workers = [toy.forked(ToyEvaluator(toy.root)) for _ in range(8)]
    for worker in workers:
        worker.join(JOIN_SECONDS)
    assert [worker.exitcode for worker in workers] == [0] * 8
    counted = progress.counted(toy.trials())
    assert [trial.state for trial in counted] == [TrialState.COMPLETE] * 24
    for trial in counted:
        assert trial.value == pytest.approx(quality(toy.plan.config(dict(trial.params), 0)))
    assert len(progress.counted(toy.trials())) == 24, "the budget is exact, however many workers there are"


def test_a_database_that_stays_locked_says_what_to_do(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = bench(GRID)
    toy.start()
    monkeypatch.setattr(storage, "LOCK_SECONDS", 0.2)
    worker = toy.worker(ToyEvaluator(toy.root))
    blocker = sqlite3.connect(toy.place.database)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(InputError, match=r"stayed locked by other workers .* Use PostgreSQL"):
        worker.work()
    blocker.rollback()


@pytest.mark.parametrize(
    ("fault", "said"),
    [("raise", "a bug in the trial"), ("nan", "inner score is nan"), ("memory", "out of memory")],
)
def test_a_trial_that_fails_leaves_its_traceback_and_the_others(
    bench: MakeBench, fault: str, said: str
) -> None:
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root, fault=fault)).work()
    trials = toy.trials()
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert {trial.params["fusion.training.hidden"] for trial in failed} == {FAULTY_HIDDEN}
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 4
    assert all(said in trial.user_attrs[FAILURE]["error"] for trial in failed)
    records = {trial.number: record_of(toy.plan, trial, toy.store) for trial in trials}
    for trial in failed:
        assert records[trial.number].state == "failed"
        assert "Traceback" in records[trial.number].traceback
    assert len(records) == 6


def test_a_study_in_which_everything_fails_is_stopped(bench: MakeBench) -> None:
    text = SEARCH.replace("choice: [0, 13, 64]", "choice: [13]").replace("trials: 12", "trials: 100")
    toy = bench(text)
    toy.start()
    with pytest.raises(InputError, match=r"10 trials failed in a row, the last with: RuntimeError\('a bug"):
        toy.worker(ToyEvaluator(toy.root, fault="raise")).work()
    assert len(toy.trials()) == MAX_FAILURES_IN_A_ROW


def test_a_full_disk_ends_the_worker_and_keeps_the_trial(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    with pytest.raises(InputError, match=r"the disk of .* is full: .* `blended study resume toy`"):
        toy.worker(ToyEvaluator(toy.root, fault="disk")).work()
    toy.worker(ToyEvaluator(toy.root)).work()
    check_complete(toy, 6)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Path:
    """A file system of 256 KiB where the results go; skips where one may not mount."""
    folder = tmp_path / "runs" / "demo" / "trials"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    return folder


def test_a_really_full_disk(bench: MakeBench, tiny_disk: Path) -> None:
    filler = tiny_disk / "filler"
    try:
        with contextlib.suppress(OSError):
            filler.write_bytes(bytes(256 * 1024))
        toy = bench(GRID)
        toy.start()
        with pytest.raises(InputError, match=r"the disk of .* is full"):
            toy.worker(ToyEvaluator(toy.root)).work()
        filler.unlink()
        toy.worker(ToyEvaluator(toy.root)).work()
        check_complete(toy, 6)
    finally:
        subprocess.run(["umount", str(tiny_disk)], check=True)


def test_ctrl_c_gives_the_trial_back(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()

    class Impatient(ToyEvaluator):
        def __call__(self, config: object, watch: object) -> object:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.worker(Impatient(toy.root)).work()
    assert progress.next_step(toy.plan, toy.trials()) == "trial"
    toy.worker(ToyEvaluator(toy.root)).work()
    check_complete(toy, 6)


def test_a_half_written_result_is_computed_again(bench: MakeBench) -> None:
    toy = bench(GRID)
    toy.start()
    toy.worker(ToyEvaluator(toy.root)).work()
    first = toy.trials()[0].user_attrs[RESULT]["identities"][0]
    (toy.store.path(first) / "outcome.json").write_text('{"identity": "')
    with pytest.raises(
        DamagedError, match=r"outcome\.json is damaged: it is no JSON .* `blended study resume`"
    ):
        toy.store.get(first)
    other = bench(GRID, name="other")
    other.start()
    said: list[str] = []
    other.worker(ToyEvaluator(other.root), log=said.append).work()
    assert sum("outcome.json is damaged" in one for one in said) == 1
    assert (toy.root / EVALUATED).read_text().split().count(first) == 2
    assert toy.store.get(first).identity == first


@pytest.mark.parametrize("name", ["outcome.json", "predictions.parquet"])
def test_one_flipped_bit_of_a_result_is_refused_and_computed_again(bench: MakeBench, name: str) -> None:
    toy = bench(GRID)
    toy.start()
    worker = toy.worker(ToyEvaluator(toy.root))
    worker.work()
    first = toy.trials()[0]
    identity = first.user_attrs[RESULT]["identities"][0]
    path = toy.store.path(identity) / name
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    for read in (toy.store.get, toy.store.find):
        with pytest.raises(DamagedError, match=rf"{re.escape(name)} is damaged"):
            read(identity)
    said: list[str] = []
    again = toy.worker(ToyEvaluator(toy.root), log=said.append)
    again.objective.restore(first)
    assert "is damaged" in said[0] and said[1:] == ["trial 0: its result is computed again"]
    assert path.read_bytes() == whole
    again.objective.restore(first)
    assert len(said) == 2, "what is whole is left alone"
