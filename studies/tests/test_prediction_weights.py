"""Which weights a stored run is applied with: the file that it was trained with, or one clear sentence."""

import hashlib
from pathlib import Path

import pytest

from blended.data import InputError
from blended.encoders.encoder import RANDOM
from blended.encoders.table import encoder_config
from blended.encoders.weights import UNTRAINED, place
from blended.studies.pipeline import PipelineRecord
from blended.studies.prediction import chosen_weights

CONFIGS = {"logmel": encoder_config("logmel"), "hubert-large": encoder_config("hubert-large")}


def record(weights: str) -> PipelineRecord:
    """As stored by a run, as far as weights go."""
    encoders = {"logmel": {"weights": "none"}, "hubert-large": {"weights": weights}}
    return PipelineRecord.model_construct(recipe="mine", encoders=encoders)


@pytest.fixture
def file(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "trained.pt"
    path.write_bytes(b"weights")
    return path, hashlib.sha256(b"weights").hexdigest()


def test_a_named_file_and_a_fetched_one_are_taken(file: tuple[Path, str], tmp_path: Path) -> None:
    path, sha = file
    named = chosen_weights(record(sha), CONFIGS, {"hubert-large": path}, tmp_path / "empty")
    assert named == {"hubert-large": path}
    source = CONFIGS["hubert-large"].source  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
    fetched = place(source, tmp_path / "cache")  # pyright: ignore[reportUnknownArgumentType]
    if source.filename:  # pyright: ignore[reportUnknownMemberType]
        fetched.parent.mkdir(parents=True)
        fetched.write_bytes(b"weights")
        assert chosen_weights(record(sha), CONFIGS, {}, tmp_path / "cache") == {"hubert-large": fetched}


def test_an_untrained_network_needs_no_file(tmp_path: Path) -> None:
    assert chosen_weights(record(UNTRAINED), CONFIGS, {}, tmp_path) == {"hubert-large": RANDOM}


def test_what_is_refused(file: tuple[Path, str], tmp_path: Path) -> None:
    path, sha = file
    with pytest.raises(InputError, match=r"encoder hubert-large has no weights here .*--weights hubert"):
        chosen_weights(record(sha), CONFIGS, {}, tmp_path / "empty")
    with pytest.raises(InputError, match=r"the run 'mine' was trained with weights 0123.* of hubert-large"):
        chosen_weights(record("0123456789abcdef"), CONFIGS, {"hubert-large": path}, tmp_path)
    with pytest.raises(InputError, match="the weights given for hubert-large are not there"):
        chosen_weights(record(sha), CONFIGS, {"hubert-large": tmp_path / "gone"}, tmp_path)
