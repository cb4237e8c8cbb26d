"""What a large study costs: `python benchmarks/scale.py --measure` or with the rates of an earlier run.

Multiplies rates up to many clips, encoders, trials and GPUs; `docs/scale.md` shows the result. With
--measure, what this machine can tell (storage writes, tracking, bytes per trial) is measured now. The rates
of encoders and of training on a GPU are assumed unless they are given; each is printed with its source.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from blended.studies.search.mlflow_runs import StudyRuns

GIB = 2**30
EPOCHS = 60
"""Of a trial: MLflow keeps a value per epoch and fold."""


@dataclass(frozen=True)
class Rates:
    """Per unit of work."""

    encode_clips_per_second: float
    """One encoder on one GPU, decoding kept up by CPU workers."""
    trial_seconds: float
    """One trial on one GPU for `trial_clips` clips."""
    trial_clips: int
    trial_encoders: int
    """That the measured trial fused: its time grows with the width of what it reads."""
    steps_per_clip: float
    """Vectors over time that a clip has, such as 4 s at 12.5 per second."""
    dim: int
    """Width of a feature vector."""
    pooled: int
    """Statistics per dimension."""
    trial_bytes_per_clip: float
    """Predictions on disk, per clip."""
    trial_bytes: float
    """Numbers on disk and in MLflow, per trial."""
    database_writes: float
    """Transactions per trial in Optuna's storage."""
    sqlite_writes_per_second: float
    """That one SQLite file takes."""
    tracking_seconds: float
    """MLflow's time per trial, in one uploader."""


@dataclass(frozen=True)
class Scenario:
    """How much there is to do."""

    clips: int
    encoders: int
    trials: int
    gpus: int
    trials_per_gpu: int = 4
    """At once: heads are small, and a GPU holds several."""


@dataclass(frozen=True)
class Cost:
    """Of a scenario; hours are wall-clock."""

    encode_hours: float
    trial_hours: float
    sequences_gib: float
    """Features over time, float16."""
    pooled_gib: float
    """One vector per clip and encoder, float32: what trials read."""
    results_gib: float
    writes_per_second: float
    tracking_hours: float
    """Of one uploader; more than `trial_hours` means that MLflow lags behind."""


def cost(scenario: Scenario, rates: Rates) -> Cost:
    """Everything grows linearly: clips x encoders to encode, clips x trials to train on."""
    encode_seconds = scenario.clips * scenario.encoders / rates.encode_clips_per_second / scenario.gpus
    wider = scenario.encoders / rates.trial_encoders
    per_trial = rates.trial_seconds * wider * scenario.clips / rates.trial_clips
    at_once = scenario.gpus * scenario.trials_per_gpu
    # Trials that share a GPU share its arithmetic: as many are done per second as one after the other.
    trial_seconds = scenario.trials * per_trial / scenario.gpus
    values = scenario.clips * scenario.encoders * rates.dim
    per_result = rates.trial_bytes + rates.trial_bytes_per_clip * scenario.clips
    return Cost(
        encode_hours=encode_seconds / 3600,
        trial_hours=trial_seconds / 3600,
        sequences_gib=values * rates.steps_per_clip * 2 / GIB,
        pooled_gib=values * rates.pooled * 4 / GIB,
        results_gib=scenario.trials * per_result / GIB,
        writes_per_second=at_once * rates.database_writes / (per_trial * scenario.trials_per_gpu),
        tracking_hours=scenario.trials * rates.tracking_seconds / 3600,
    )


def breaks_first(scenario: Scenario, rates: Rates) -> list[str]:
    """In words, what a scenario asks for beyond one machine with SQLite."""
    found = cost(scenario, rates)
    said: list[str] = []
    if found.writes_per_second > rates.sqlite_writes_per_second / 4:
        said.append("SQLite for the study: PostgreSQL")
    if scenario.gpus > 8:
        said.append("one machine: Ray or Slurm, PostgreSQL, a shared file system")
    if found.tracking_hours > found.trial_hours:
        said.append("MLflow on SQLite: a server on PostgreSQL")
    if found.pooled_gib > 64:
        said.append("pooled features in memory: fewer encoders per trial, or PCA")
    if found.sequences_gib > 1000:
        said.append("features over time on a local disk: an object store, Ray Data to extract")
    return said or ["nothing"]


def measure(trials: int = 40) -> dict[str, float]:
    """Storage writes per second, writes and bytes per trial, and MLflow's time per trial, on this machine."""
    import sqlalchemy
    from study_overhead import make_study

    from blended.studies.search.mlflow_runs import StudyRuns
    from blended.studies.search.objective import Objective
    from blended.studies.search.opening import join
    from blended.studies.search.results import TrialStore
    from blended.studies.search.storage import Place, open_storage
    from blended.studies.search.worker import Worker
    from blended.studies.tracking import default_uri
    from toys.trials import ToyEvaluator

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_study(root, "measured", trials)
        place = Place(root, "measured")
        storage = open_storage(place)
        writes = [0]

        def count(connection: object, cursor: object, statement: str, *_: object) -> None:
            writes[0] += statement.startswith(("INSERT", "UPDATE", "DELETE"))

        sqlalchemy.event.listen(storage.engine, "before_cursor_execute", count)
        study, plan = join(place, storage)
        store = TrialStore(place.trials("demo"))
        objective = Objective(plan, ToyEvaluator(root, epochs=EPOCHS), store, log=print)
        Worker(study, objective, place, finished=lambda trial: None, log=print).work()
        runs = StudyRuns(plan, store, root, place.mlflow_lock, default_uri(root), {}, print)
        tracking = _tracking_seconds(runs, study.get_trials())
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / trials
        return {
            "database_writes": writes[0] / trials,
            "sqlite_writes_per_second": _commits_per_second(root / "commits.db"),
            "tracking_seconds": tracking,
            "trial_bytes": size,
        }


def _tracking_seconds(runs: "StudyRuns", trials: "list[FrozenTrial]") -> float:
    """Per trial, but for the first: it makes MLflow's tables, which is no cost of a trial."""
    runs.write(trials[0])
    started = time.monotonic()
    for trial in trials[1:]:
        runs.write(trial)
    return (time.monotonic() - started) / (len(trials) - 1)


def _commits_per_second(path: Path, seconds: float = 3.0) -> float:
    """Small transactions of one writer, as the study's storage is set up."""
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE t (x)")
    end, done = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        connection.execute("INSERT INTO t VALUES (1)")
        done += 1
    return done / seconds


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


ASSUMED = {
    "encode_clips_per_second": 20.0,
    "trial_seconds": 10.0,
    "trial_clips": 2456,
    "trial_encoders": 4,
    "steps_per_clip": 50.0,
    "dim": 1024,
}
"""Of GPUs and corpora that are not here: replace them by your own."""
EARLIER = {
    "database_writes": 10.0,
    "sqlite_writes_per_second": 12_000.0,
    "tracking_seconds": 0.15,
    "trial_bytes": 140_000.0,
}
"""What --measure finds, rounded."""
KNOWN = {"pooled": 7, "trial_bytes_per_clip": 35.0}
"""Statistics of a pooled feature; a row of predictions as Parquet."""


def _print_rates(rates: Rates, sources: dict[str, str]) -> None:
    print("| rate | value | where it is from |\n|---|---|---|")
    for name, value in vars(rates).items():
        print(f"| {name.replace('_', ' ')} | {value:,.4g} | {sources[name]} |")


def _print_costs(rates: Rates) -> None:
    heads = ["clips", "encoders", "trials", "GPUs", "encode h", "trials h", "over time GiB", "pooled GiB"]
    heads += ["results GiB", "writes/s", "MLflow h", "breaks first"]
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for clips, encoders, trials in ((2456, 4, 200), (100_000, 20, 10_000)):
        for gpus in (1, 8, 64):
            scenario = Scenario(clips, encoders, trials, gpus)
            numbers = " | ".join(_short(value) for value in vars(cost(scenario, rates)).values())
            broken = "; ".join(breaks_first(scenario, rates))
            print(f"| {clips:,} | {encoders} | {trials:,} | {gpus} | {numbers} | {broken} |")


def main() -> None:
    """Prints the rates, each with where it is from, and a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure storage and tracking here")
    for name, value in ASSUMED.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"assumed: {value:g}")
    given = vars(parser.parse_args())
    chosen = {name: value for name, value in given.items() if name in ASSUMED and value is not None}
    measured = measure() if given["measure"] else {}
    sources = dict.fromkeys(ASSUMED, "**assumed**") | dict.fromkeys(chosen, "given")
    sources |= dict.fromkeys(EARLIER, "measured earlier") | dict.fromkeys(measured, "measured now, here")
    sources |= dict.fromkeys(KNOWN, "as stored")
    rates = Rates(**{**ASSUMED, **chosen, **EARLIER, **measured, **KNOWN})
    _print_rates(rates, sources)
    _print_costs(rates)


if __name__ == "__main__":
    main()
