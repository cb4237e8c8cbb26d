"""Outcomes on disk, one folder per identity: what was evaluated once is not evaluated again."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from blended.data import InputError, LabelSpace
from blended.data.checksums import DamagedError, check_seal_if_any, read_sealed_json, write_sealed_json
from blended.eval.predictions import Predictions, read_predictions, write_predictions
from blended.studies.search.outcome import Evaluated, Outcome

OUTCOME = "outcome.json"
PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True, slots=True)
class TrialStore:
    """The outcomes of all studies on a corpus."""

    folder: Path

    def path(self, identity: str) -> Path:
        """Where an outcome lies or would lie."""
        return self.folder / identity

    def find(self, identity: str) -> Outcome | None:
        """A complete outcome; None if there is none, or if it was written by another version.

        Raises DamagedError for one whose files are not as they were written.
        """
        path, predictions = self.path(identity) / OUTCOME, self.path(identity) / PREDICTIONS
        if not path.is_file() or not predictions.is_file():
            return None
        try:
            check_seal_if_any(predictions)
            return Outcome.model_validate(read_sealed_json(path))
        except DamagedError as damage:
            raise DamagedError(f"{damage}: `blended study resume` of its study computes it anew") from damage
        except ValidationError:
            return None  # It is computed again and replaced.

    def put(self, evaluated: Evaluated) -> Outcome:
        """Writes predictions, then the outcome that makes them complete."""
        folder = self.path(evaluated.outcome.identity)
        # Removed first: old numbers must not stand beside new predictions, even for a moment.
        (folder / OUTCOME).unlink(missing_ok=True)
        write_predictions(folder / PREDICTIONS, evaluated.predictions, evaluated.space)
        write_sealed_json(folder / OUTCOME, evaluated.outcome.model_dump(mode="json"))
        return evaluated.outcome

    def get(self, identity: str) -> Outcome:
        """Raises InputError for an outcome that is not there, or damaged."""
        found = self.find(identity)
        if found is None:
            raise InputError(
                f"{self.path(identity)} has no complete result: run the study on this disk, or "
                f"`blended study run` it again to compute what is missing"
            )
        return found

    def predictions(self, outcome: Outcome) -> Predictions:
        """Of an outcome that is there."""
        space = LabelSpace.from_dict(outcome.label_space)
        return read_predictions(self.path(outcome.identity) / PREDICTIONS, space)


def together(identities: list[str]) -> str:
    """One key for the outcomes of a trial with several seeds.

    >>> together(["abc"])
    'abc'
    """
    if len(identities) == 1:
        return identities[0]
    return hashlib.sha256(" ".join(identities).encode()).hexdigest()
