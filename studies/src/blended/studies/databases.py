"""SQLite files: whether they are whole, and whether they say of a result what its own files say.

SQLite finds a broken page and not a changed number: it keeps no checksums. Those numbers of its that people
rank by lie in sealed files too.
"""

import json
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blended.data.checksums import DamagedError, read_sealed_json
from blended.studies.fold_numbers import HEADLINE, mean_numbers, stored_numbers
from blended.studies.run_files import ARTIFACTS, METRICS, RECORD, run_faults

TOLERANCE = 1e-12
"""Of a mean over folds or seeds that was added up in another order."""


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """A database that is opened to be read, and closed."""
    database = sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True)
    try:
        yield database
    finally:
        database.close()


def broken(path: Path) -> str:
    """What SQLite finds wrong with a file, in words; empty where it is whole."""
    try:
        with reading(path) as database:
            answers = [str(row[0]) for row in database.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        answers = [str(error)]
    return "" if answers == ["ok"] else f"is damaged: SQLite says {answers[0].splitlines()[-1]!r}"


def results_of(study: Path) -> Iterator[tuple[int, list[float], Mapping[str, Any]]]:
    """Of a study's database: number of a finished trial, its values, and what is kept of its result.

    Raises sqlite3.Error and ValueError for a file that cannot be read.
    """
    query = (
        "SELECT trials.number, trials.trial_id, value_json FROM trials JOIN trial_user_attributes "
        "USING (trial_id) WHERE key = 'result' ORDER BY number"
    )
    values = "SELECT value FROM trial_values WHERE trial_id = ? ORDER BY objective"
    with reading(study) as database:
        for number, trial_id, text in database.execute(query).fetchall():
            yield number, [row[0] for row in database.execute(values, (trial_id,))], json.loads(text)


def contradicted_trials(study: Path, results: Path) -> list[int]:
    """The trials of which a study's database has other numbers than their stored results, in that folder.

    Raises sqlite3.Error and ValueError for a file that cannot be read.
    """
    found: list[int] = []
    for number, values, kept in results_of(study):
        try:
            outcomes = [read_sealed_json(results / one / "outcome.json") for one in kept["identities"]]
        except (DamagedError, OSError):
            continue  # Said of the results.
        if not _agree(values, kept, outcomes):
            found.append(number)
    return found


def _agree(values: list[float], kept: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether values and folds are the means of what the outcomes have."""
    for part in ("inner", "outer"):
        for fold, row in kept[part].items():
            said = stored_numbers(row)
            means = mean_numbers([stored_numbers(one[part][fold]) for one in outcomes])
            if said.keys() != means.keys() or not _close([*said.values()], [means[name] for name in said]):
                return False
    means = mean_numbers([stored_numbers(row) for row in kept["inner"].values()])
    names = ("presence", "salience") if len(values) > 1 else (HEADLINE,)
    return _close(values, [means[name] for name in names])


def contradicted_runs(tracking: Path, root: Path) -> list[Path]:
    """The runs of which MLflow's database has other numbers than their own files; raises sqlite3.Error."""
    found: list[Path] = []
    query = "SELECT key, value FROM latest_metrics WHERE run_uuid = ?"
    for record in sorted(root.glob(f"runs/*/*/{ARTIFACTS}/{RECORD}")):
        run = record.parents[1]
        if run_faults(run):
            continue  # Said of its files.
        run_id = json.loads(record.read_bytes())["run_id"]
        numbers = _flat(json.loads((run / METRICS).read_bytes())["cross_fold"])
        with reading(tracking) as database:
            tracked = dict(database.execute(query, (run_id,)).fetchall())
        if any(not _close([tracked[key]], [numbers[key]]) for key in numbers.keys() & tracked.keys()):
            found.append(run)
    return found


def _flat(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Metrics by the names that MLflow has for them: `score`, `fold0/presence_accuracy`."""
    folds = {fold: row for fold, row in numbers.items() if isinstance(row, dict)}
    flat = {key: value for key, value in numbers.items() if key not in folds}
    return flat | {f"{fold}/{key}": value for fold, row in folds.items() for key, value in row.items()}


def _close(some: list[float], others: list[float]) -> bool:
    return len(some) == len(others) and all(
        a == b or abs(a - b) <= TOLERANCE or (a != a and b != b) for a, b in zip(some, others, strict=True)
    )
