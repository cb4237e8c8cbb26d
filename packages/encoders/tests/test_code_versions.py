"""Who edits what an encoder is built of gets new features of that encoder, and of no other."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from blended.encoders import code_versions
from blended.encoders.code_versions import FOLDERS, code_version
from blended.encoders.table import encoder_config

NAMES = ("logmel", "wavlm-large", "hubert-large", "clip", "imagebind-audio", "hicmae")
CONFIGS = {name: encoder_config(name) for name in NAMES} | {
    "clip+faces": encoder_config({"name": "clip", "faces": {}})
}
SPEECH = {"wavlm-large", "hubert-large"}
PICTURES = {"clip", "clip+faces"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to be edited."""
    folder = tmp_path_factory.mktemp("sources")
    for package, original in FOLDERS.items():
        shutil.copytree(original, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def copied(sources: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is looked at is the copy."""
    monkeypatch.setattr(code_versions, "FOLDERS", {package: sources / package for package in FOLDERS})
    monkeypatch.setattr(code_versions, "FACES", sources / "blended.encoders" / "faces")
    return sources


def _versions() -> dict[str, str]:
    return {name: code_version(config) for name, config in CONFIGS.items()}


@pytest.mark.parametrize(
    ("edited", "concerned"),
    [
        ("blended.encoders/speech.py", SPEECH),
        ("blended.encoders/speech_norm.py", SPEECH),  # Imported within a function.
        # Sound shares the network of pictures, and so its file.
        ("blended.encoders/frames_network.py", {*PICTURES, "imagebind-audio"}),
        ("blended.encoders/faces/detecting.py", {"clip+faces"}),
        ("blended.encoders/networks/imagebind/network.py", {"imagebind-audio"}),
        ("blended.encoders/networks/hicmae/encoder.py", {"hicmae"}),
        ("blended.encoders/spectrogram.py", {"imagebind-audio", "hicmae"}),
        ("blended.data.media/colours.py", {*CONFIGS}),
        ("blended.encoders/extract.py", set[str]()),
        ("blended.encoders/table.py", set[str]()),
    ],
)
def test_an_edit_concerns_those_that_import_the_file(copied: Path, edited: str, concerned: set[str]) -> None:
    before = _versions()
    with (copied / edited).open("a") as file:
        file.write("\nEDITED = True\n")
    after = _versions()
    assert {name for name in CONFIGS if after[name] != before[name]} == concerned


def test_no_network_library_is_loaded_for_it() -> None:
    program = (
        "import sys; from blended.encoders.code_versions import code_version; "
        "from blended.encoders.table import encoder_config; "
        "print(code_version(encoder_config('wavlm-large')), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [code_version(CONFIGS["wavlm-large"]), "False"]


def test_pooling_has_a_version_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_versions.pooling_version()
    assert before == code_versions.pooling_version() != code_versions.code_version(encoder_config("logmel"))
    edited = tmp_path / "pooling.py"
    edited.write_text(code_versions.POOLING.read_text() + "\n# another way\n")
    monkeypatch.setattr(code_versions, "POOLING", edited)
    assert code_versions.pooling_version() != before
