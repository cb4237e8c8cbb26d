"""Trainings on disk, one file each: trials that differ only in their decision train once.

Kept is what the models say about every clip, fold-wise and in full precision, not the models: a trial that
decides on it has the numbers of one that trains.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from blended.data import InputError
from blended.data.checksums import DamagedError, check_seal, write_tensors
from blended.fusion.strategies import Fused
from blended.studies.search.outcome import Curve

ARRAYS = ("out_of_fold", "inner", "test", "states", "test_states", "fitting", "fitting_states")
"""Of `Fused`: what is decided from."""


class Curves(BaseModel):
    """Inner scores over the epochs of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: Curve = {}
    folds: dict[int, Curve] = {}

    def add(self, epoch: int, mean: float, folds: Mapping[int, float]) -> None:
        """What a training says after an epoch."""
        self.mean[epoch] = mean
        for fold, score in folds.items():
            self.folds.setdefault(fold, {})[epoch] = score


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training leaves to decide on."""

    fused: Fused
    curves: Curves = field(default_factory=Curves)


@dataclass(frozen=True, slots=True)
class TrainingStore:
    """The trainings of all studies on a corpus."""

    folder: Path
    log: Callable[[str], None]
    """Told of damaged files."""

    def path(self, identity: str) -> Path:
        """Where a training lies or would lie; `identity` is that of `identity.training_identity`."""
        return self.folder / f"{identity}.safetensors"

    def find_or_train(self, identity: str, train: Callable[[], Trained]) -> Trained:
        """The training, from `train` if it is not there; one that another worker is at is waited for.

        Whoever dies or gives up during `train` leaves nothing: the next one trains.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{identity}.lock"):
            if self._is_whole(identity):
                return self._read(identity)
            made = train()
            self._write(identity, made)
            return made

    def _is_whole(self, identity: str) -> bool:
        """Whether it is there, and as it was written."""
        path = self.path(identity)
        if not path.is_file():
            return False
        try:
            check_seal(path)
        except DamagedError as damage:
            self.log(f"{damage}: it is trained anew")
            return False
        return True

    def _write(self, identity: str, made: Trained) -> None:
        given = {name: getattr(made.fused, name) for name in ARRAYS}
        arrays = {name: array for name, array in given.items() if array is not None}
        words = {"fitted": json.dumps(dict(made.fused.fitted)), "curves": made.curves.model_dump_json()}
        write_tensors(self.path(identity), arrays, words)

    def _read(self, identity: str) -> Trained:
        from safetensors import safe_open

        with safe_open(self.path(identity), framework="numpy") as file:
            words: dict[str, str] = file.metadata()
            arrays: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        fused = Fused(**arrays, fitted=json.loads(words["fitted"]), state={}, judged=_without_models)
        return Trained(fused, Curves.model_validate_json(words["curves"]))


def _without_models(change: object) -> Any:
    """Raises InputError: only who trained can say what the models rely on."""
    raise InputError("the models of this training were not kept: train the recipe with `blended train`")
