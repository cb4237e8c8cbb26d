"""Where studies and their trials lie below the working folder."""

from dataclasses import dataclass
from pathlib import Path

from blended.data import InputError

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
