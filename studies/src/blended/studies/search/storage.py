"""Where studies and their trials lie, and Optuna's storage: SQLite beside the study, or PostgreSQL by URL."""

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from blended.data import InputError

if TYPE_CHECKING:
    import sqlite3

    import optuna
    import sqlalchemy

SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one study. Workers on several machines need `root` on a shared file system."""

    root: Path
    """The folder of params.yaml."""
    name: str
    """Of the study; letters, digits, dot, dash and underscore."""

    def __post_init__(self) -> None:
        """Raises InputError for a name that is no file name."""
        if not self.name or not set(self.name) <= SAFE or self.name.startswith("."):
            raise InputError(
                f"a study's name is a file name of letters, digits, '-', '_' and '.', got {self.name!r}"
            )

    @property
    def folder(self) -> Path:
        """Everything of this study but its trials' results."""
        return self.root / "runs" / "studies" / self.name

    @property
    def database(self) -> Path:
        """Optuna's SQLite file, where no other storage is named."""
        return self.folder / "study.db"

    @property
    def lock(self) -> Path:
        """Held while the study is made or extended."""
        return self.folder / "study.lock"

    @property
    def mlflow_lock(self) -> Path:
        """Held by whoever writes to MLflow."""
        return self.folder / "mlflow.lock"

    @property
    def checkpoints(self) -> Path:
        """Trials under way; removed when they end."""
        return self.folder / "checkpoints"

    @property
    def ray(self) -> Path:
        """Ray Tune's own state."""
        return self.folder / "ray"

    @property
    def pooled(self) -> Path:
        """Pooled features that all workers of a machine map; safe to delete."""
        return self.root / "data" / "cache" / "pooled"

    def trainings(self, corpus: str) -> Path:
        """What trainings of studies on a corpus said about every clip, for trials that only decide."""
        return self.root / "runs" / corpus / "trainings"

    def trials(self, corpus: str) -> Path:
        """Results of all studies on a corpus, one folder per identity."""
        return self.root / "runs" / corpus / "trials"


LOCK_SECONDS = 60
"""How long a writer waits for SQLite's single lock."""
HEARTBEAT_SECONDS = 15
GRACE_SECONDS = 60
"""A worker that has not been heard of for so long is dead, and its trial is run again."""
MAX_RETRIES = 3
"""Of a trial whose worker died; a configuration that kills three workers is to blame itself."""
PREFIXES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


def storage_url(place: Place, url: str | None) -> str:
    """The address of a study's storage; raises InputError for a database that is not supported."""
    if not url:
        return f"sqlite:///{place.database.resolve()}"
    if not url.startswith(PREFIXES):
        raise InputError(
            f"storage {url.split('@')[-1]!r} is not supported: give sqlite:////path/study.db or "
            f"postgresql://user@host/database, or nothing for a SQLite file beside the study"
        )
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def open_storage(
    place: Place,
    url: str | None = None,
    *,
    heartbeat_seconds: int = HEARTBEAT_SECONDS,
    grace_seconds: int = GRACE_SECONDS,
) -> "optuna.storages.RDBStorage":
    """Opens, and on first use makes, the storage.

    Several processes that make one SQLite file at once leave it broken, so this is done under a lock.
    Raises InputError where nothing answers at the address.
    """
    import optuna
    from sqlalchemy.exc import OperationalError

    address = storage_url(place, url)
    place.folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(logging.ERROR)
    sqlite = address.startswith("sqlite:")
    engine = {"connect_args": {"timeout": LOCK_SECONDS}} if sqlite else {"pool_pre_ping": True}
    with FileLock(place.lock), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES)
        try:
            storage = optuna.storages.RDBStorage(
                address,
                engine_kwargs=engine,
                heartbeat_interval=heartbeat_seconds,
                grace_period=grace_seconds,
                heartbeat_stale_trial_callback=retry,
            )
        except OperationalError as error:
            reason = str(error.orig).splitlines()[0]
            raise InputError(
                f"no database answers at {address.split('@')[-1]} ({reason}): start it, or leave --storage "
                f"out for a SQLite file"
            ) from error
    if sqlite:
        _write_ahead(storage.engine)
    return storage


def give_first_heartbeats(study: Any, given: set[int]) -> None:
    """Marks every running trial as alive once, except those in `given`, to which it is added.

    Optuna waits for ever for a trial without any heartbeat, and a worker can die between taking a trial and
    its first one. A trial that somebody works at only lives a moment longer by this.
    """
    from optuna.trial import TrialState

    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for number in {trial.number for trial in running} - given:
        storage = study._storage
        storage.record_heartbeat(storage.get_trial_id_from_study_id_trial_number(study._study_id, number))
        given.add(number)


def _write_ahead(engine: "sqlalchemy.Engine") -> None:
    """Lets SQLite append to a log: readers do not block writers, and a commit waits for no disk.

    A killed process loses nothing by it; a power failure may lose the last seconds, but not the file.
    """
    from sqlalchemy import event

    def prepare(connection: "sqlite3.Connection", _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(engine, "connect", prepare)
    engine.dispose()  # Connections that are open already were not prepared.


@contextmanager
def explaining_locks() -> Generator[None]:
    """Turns SQLite's `database is locked` into what to do about it."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except (StorageInternalError, OperationalError) as error:
        if "locked" not in f"{error} {error.__cause__}":
            raise
        raise InputError(
            f"the study's SQLite file stayed locked by other workers for {LOCK_SECONDS} s: it takes about "
            f"eight writers. Use PostgreSQL for more: --storage postgresql://user@host/database"
        ) from error
