"""Where the reference files are: `BLENDED_REFERENCE`, by default beside the repository."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of real data and official outputs; a test that asks for it skips where it is absent."""
    folder = Path(os.environ.get("BLENDED_REFERENCE", REPOSITORY.parent / "shared" / "reference"))
    if not folder.is_dir():
        pytest.skip(f"no reference files in {folder}; set BLENDED_REFERENCE to test against them")
    return folder
