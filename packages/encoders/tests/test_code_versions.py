"""Who edits what an encoder is built of gets new features of that encoder, and of no other."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from blended.data.code_versions import Sources, installed
from blended.encoders.identity import code_version, pooling_version
from blended.encoders.table import encoder_config

NAMES = ("logmel", "wavlm-large", "hubert-large", "clip", "imagebind-audio", "hicmae")
CONFIGS = {name: encoder_config(name) for name in NAMES} | {
    "clip+faces": encoder_config({"name": "clip", "faces": {}})
}
SPEECH = {"wavlm-large", "hubert-large"}
PICTURES = {"clip", "clip+faces"}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources to be edited."""
    folder = tmp_path_factory.mktemp("sources")
    for package, original in installed().folders.items():
        shutil.copytree(original, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _versions(folder: Path) -> dict[str, str]:
    sources = Sources({package: folder / package for package in installed().folders})
    return {name: code_version(config, sources) for name, config in CONFIGS.items()}


@pytest.mark.parametrize(
    ("edited", "line", "concerned"),
    [
        ("blended.encoders/networks/speech.py", "def build_speech(", SPEECH),
        (
            "blended.encoders/networks/speech.py",
            "class MaskedGroupNorm",
            SPEECH,
        ),  # Imported within a function.
        # Sound shares the network of pictures, and so its file.
        ("blended.encoders/pictures.py", "def encode_pictures(", {*PICTURES}),
        ("blended.encoders/faces/detecting.py", "def find_faces(", {"clip+faces"}),
        ("blended.encoders/networks/imagebind.py", "class Trunk(", {"imagebind-audio"}),
        ("blended.encoders/networks/hicmae/network.py", "class Encoder(", {"hicmae"}),
        ("blended.encoders/sound.py", "def spectrogram(", {"imagebind-audio", "hicmae"}),
        ("blended.data.media/colours.py", "class Painter", {*PICTURES, "hicmae"}),
        ("blended.data.media/audio.py", "def to_mono(", {*CONFIGS} - PICTURES),
        ("blended.encoders/extract.py", "def extract(", set[str]()),
        ("blended.encoders/table.py", "def encoder_config(", set[str]()),
    ],
)
def test_an_edit_concerns_those_that_lead_to_it(
    copied: Path, edited: str, line: str, concerned: set[str]
) -> None:
    package, _, path = edited.partition("/")
    room, _, below = package.removeprefix("blended.").partition(".")
    file = copied / f"blended.{room}" / below / path
    before, text = _versions(copied), file.read_text()
    assert f"\n{line}" in text
    # A definition that does something else, and one that nobody uses.
    file.write_text(text.replace(f"\n{line}", f"\n@edited\n{line}", 1))
    after = _versions(copied)
    file.write_text(text + "\n# a remark\nUNUSED = True\n")
    remarked = _versions(copied)
    file.write_text(text)
    assert {name for name in CONFIGS if after[name] != before[name]} == concerned
    assert remarked == before


def test_no_network_library_is_loaded_for_it() -> None:
    program = (
        "import sys; from blended.encoders.identity import code_version; "
        "from blended.encoders.table import encoder_config; "
        "print(code_version(encoder_config('wavlm-large')), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [code_version(CONFIGS["wavlm-large"]), "False"]


def test_pooling_has_a_version_of_its_own(copied: Path) -> None:
    def made() -> str:
        return pooling_version(Sources({package: copied / package for package in installed().folders}))

    before = made()
    assert before == pooling_version() != code_version(CONFIGS["logmel"])
    file = copied / "blended.encoders" / "pooling.py"
    text = file.read_text()
    file.write_text(text.replace("PERCENTILES = (", "PERCENTILES = (1, ", 1))
    assert file.read_text() != text
    assert made() != before
    file.write_text(text)
