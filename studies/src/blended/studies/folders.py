"""Where things lie below the working folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folders:
    """The layout that `dvc.yaml` and the commands share."""

    root: Path = Path()
    """The folder of params.yaml and dvc.yaml."""

    @property
    def params(self) -> Path:
        """The single place for choices."""
        return self.root / "params.yaml"

    def corpus(self, corpus: str) -> Path:
        """Clips and metadata."""
        return self.root / "data" / "corpora" / corpus

    def index(self, corpus: str) -> Path:
        """One Parquet file per corpus: every clip, probed and hashed."""
        return self.root / "data" / "index" / f"{corpus}.parquet"

    def findings(self, corpus: str) -> Path:
        """What is wrong with the corpus, as JSON."""
        return self.root / "data" / "index" / f"{corpus}_findings.json"

    def splits(self, corpus: str) -> Path:
        """Fold per clip."""
        return self.root / "data" / "index" / f"{corpus}_splits.csv"

    @property
    def cache(self) -> Path:
        """Probe results by file; safe to delete."""
        return self.root / "data" / "cache"

    def features(self, corpus: str) -> Path:
        """One feature store per encoder below it."""
        return self.root / "data" / "features" / corpus

    def plans(self, corpus: str) -> Path:
        """What every stage is made by; see `blended.studies.plans`."""
        return self.root / "data" / "plans" / corpus

    def run(self, corpus: str, recipe: str) -> Path:
        """What training a recipe leaves behind."""
        return self.root / "runs" / corpus / recipe

    def checkpoints(self, identity: str) -> Path:
        """Where the training of a trial goes on after an interruption; removed when it is done."""
        return self.root / "data" / "checkpoints" / identity[:16]

    @property
    def report(self) -> Path:
        """The page, its tables and figures."""
        return self.root / "report"
