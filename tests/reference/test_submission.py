"""The organisers' template obeys the rules by which submissions are checked, and has the same form."""

import json
import zipfile
from pathlib import Path

import pytest

from blended.data.corpora.blemore import SPACE
from blended.eval.official import (
    INNER_NAME,
    read_predictions,
    read_submission,
    submission,
    validate_submission,
)

NAMES = [f"test_{number:04d}.mov" for number in range(1, 595)]


def template(reference: Path) -> Path:
    path = reference / "blemore" / "submission_template_codabench.zip"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path


def test_the_template_is_valid(reference: Path) -> None:
    mapping = read_submission(template(reference))
    decided = validate_submission(mapping, NAMES, SPACE)
    assert len(decided) == 594
    read = read_predictions(mapping["predictions"])  # pyright: ignore[reportArgumentType]
    assert read == {Path(name).stem: mixture for name, mixture in decided.items()}


def test_what_we_write_has_its_form(reference: Path) -> None:
    """The same keys in the same places; only the order within a pair and 100.0 for 100 may differ."""
    path = template(reference)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [INNER_NAME]
        text = archive.read(INNER_NAME).decode()
    theirs = json.loads(text)
    ours = submission(validate_submission(theirs, NAMES, SPACE))

    def ordered(mapping: dict[str, dict[str, list[dict[str, object]]]]) -> object:
        return {
            n: sorted(entries, key=lambda e: str(e["emotion"]))
            for n, entries in mapping["predictions"].items()
        }

    assert ordered(ours) == ordered(theirs)
    assert text.startswith(json.dumps(ours, indent=4)[:60])
