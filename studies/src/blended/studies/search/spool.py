"""Finished trials on their way to MLflow: one JSON file each, moved when it has arrived.

Trials never wait for the tracking server. What is in `pending` is uploaded in the background, by one
process at a time; what is in `sent` has arrived.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from blended.data.checksums import DamagedError, read_sealed_json, write_sealed_json
from blended.studies.search.outcome import Curve


class TrialRecord(BaseModel):
    """What MLflow will know of one trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    """Of results: their identity, so that a trial which was run twice arrives once; else the number."""
    study: str
    number: int
    state: Literal["finished", "pruned", "failed"]
    params: dict[str, str]
    """The whole configuration, flattened."""
    metrics: dict[str, float]
    curves: dict[str, Curve]
    """Metric -> values over epochs."""
    tags: dict[str, str]
    started_ms: int
    ended_ms: int
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Spool:
    """The two folders."""

    folder: Path

    @property
    def pending(self) -> Path:
        """To be uploaded."""
        return self.folder / "pending"

    @property
    def sent(self) -> Path:
        """Uploaded."""
        return self.folder / "sent"

    @property
    def lock(self) -> Path:
        """Held by whoever uploads."""
        return self.folder / "upload.lock"

    def put(self, record: TrialRecord) -> None:
        """Keeps a record for uploading, unless it has arrived before."""
        if not self.knows(record.key):
            write_sealed_json(self.pending / f"{record.key}.json", record.model_dump(mode="json"))

    def knows(self, key: str) -> bool:
        """Whether a record waits or has arrived."""
        return any((folder / f"{key}.json").is_file() for folder in (self.pending, self.sent))

    def waiting(self) -> Iterator[TrialRecord]:
        """Records to upload, oldest trial first."""
        read: list[TrialRecord] = []
        for path in self.pending.glob("[!.]*.json"):
            try:
                read.append(TrialRecord.model_validate(read_sealed_json(path)))
            except FileNotFoundError:
                continue  # Another process has just uploaded it.
        return iter(sorted(read, key=lambda record: record.number))

    def discard_damaged(self) -> None:
        """Removes records that are not as they were written; whoever reconciles writes them anew."""
        for path in self.pending.glob("[!.]*.json"):
            try:
                read_sealed_json(path)
            except DamagedError:
                path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue  # Another process has just uploaded it.

    def arrived(self, key: str) -> None:
        """Marks a record as uploaded."""
        self.sent.mkdir(parents=True, exist_ok=True)
        (self.pending / f"{key}.json").replace(self.sent / f"{key}.json")

    def num_waiting(self) -> int:
        """Records that MLflow does not have yet."""
        return sum(1 for _ in self.pending.glob("[!.]*.json"))
