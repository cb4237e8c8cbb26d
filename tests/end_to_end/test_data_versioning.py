"""Raw corpora under DVC, by the commands of docs/data_versioning.md: what is pulled is what was pushed."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
from tests.end_to_end.test_dvc import REPOSITORY, call

from toys.clips import write_clip

PAGE = REPOSITORY / "docs" / "data_versioning.md"


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder by its place; DVC's own note of what git leaves alone is none of it."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    }


def published(folder: Path, first_actor: int) -> Path:
    """A corpus as its authors publish it: recordings of five people."""
    for actor in range(first_actor, first_actor + 5):
        for code in ("01", "03", "05"):
            name = f"Actor_{actor:02d}/03-01-{code}-01-01-01-{actor:02d}.wav"
            write_clip(folder / name, seconds=0.1, tone_hz=200 + 10 * actor + int(code))
    return folder


def commands(heading: str) -> list[list[str]]:
    """The commands of a section of the documentation, in its order."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line.split("#")[0].strip() for block in re.findall(r"```\n(.*?)```", section, re.DOTALL)
             for line in block.splitlines()]  # fmt: skip
    return [line.split() for line in lines if line]


@pytest.mark.slow
def test_a_second_clone_pulls_identical_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    elsewhere = published(tmp_path / "downloads" / "mine", 1)
    share = published(tmp_path / "share" / "theirs", 11)
    places = {
        "/mnt/store/blended": str(tmp_path / "remote"),
        "/downloads/mine": str(elsewhere),
        "/mnt/share/theirs": str(share),
        "git@host:project.git": str(first),
        "project": str(second),
    }

    def follow(folder: Path, heading: str) -> None:
        for words in commands(heading):
            if words[0] == "cd":
                folder = second
            else:
                call(folder, *(places.get(word, word) for word in words))

    call(first, "git", "init", "--quiet")
    call(first, "dvc", "init", "--quiet")
    (first / ".gitignore").write_text("/home/\n")
    follow(first, "Once per project: a place to keep data")
    follow(first, "Add a corpus")
    follow(first, "Refer to a corpus where it lies")
    call(first, "git", "commit", "--quiet", "--all", "--message", "corpora")
    follow(first, "Push and pull")
    for name, source in (("mine", elsewhere), ("theirs", share)):
        assert hashes(source) == hashes(first / "raw" / name) == hashes(second / "raw" / name)
        assert len(hashes(source)) == 15
    tracked = call(second, "git", "ls-files").split()
    assert {"raw/mine.dvc", "raw/theirs.dvc"} <= {*tracked}
    assert not [name for name in tracked if name.endswith(".wav")], "recordings are not committed"

    # What lies elsewhere has changed: an update takes it over.
    write_clip(share / "Actor_11" / "03-01-06-01-01-01-11.wav", seconds=0.1, tone_hz=333)
    assert hashes(first / "raw" / "theirs") != hashes(share)
    follow(first, "When the published corpus changes")
    assert hashes(first / "raw" / "theirs") == hashes(share)

    # What was pulled is a corpus.
    (second / "params.yaml").write_text(
        "corpus: ravdess\ncorpora: {ravdess: {source: raw/mine, num_folds: 5}}\nencoders: {}\nrecipes: {}\n"
    )
    call(second, "blended", "data", "prepare")
    call(second, "blended", "data", "index", "--workers", "1")
    assert (second / "data" / "index" / "ravdess.parquet").is_file()
    shutil.rmtree(second)
