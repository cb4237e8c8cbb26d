"""`blended features show`: shapes, times, faces and failures of what is stored."""

from pathlib import Path

import numpy as np
import pytest

from blended.data import InputError
from blended.data.features import Features
from blended.data.store import Identity, StoreWriter, write_shard
from blended.studies.commands.features import NUM_ROWS, show

FACES = {
    "a": {"pictures_searched": 8, "pictures_without_face": 3},
    "b": {"pictures_searched": 5, "pictures_without_face": 5},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "140")
    (tmp_path / "params.yaml").write_text("corpus: demo\nencoders: {}\nrecipes: {}\n")
    return tmp_path


def _store(root: Path, name: str, clips: list[str], failures: dict[str, str], notes: object = None) -> None:
    identity = Identity(f'{{"name": "{name}"}}', "random", "corpus", "0.1.0")
    writer = StoreWriter(
        root / "data/features/demo" / name, identity, [*clips, *failures], max_failures=9, log=print
    )
    encoded = {clip: {"11": Features(np.ones((25, 4)), 12.5)} for clip in clips}
    (shard,) = writer.plan
    write_shard(shard.path, identity, shard.clips, encoded, failures, notes=notes)  # type: ignore[arg-type]
    writer.finish()


def test_a_store_clip_by_clip(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _store(root, "face", ["a", "b"], {"c": "c.mp4 has no video track"}, FACES)
    show("face", root)
    out = capsys.readouterr().out
    lines = {cells[0]: cells[1:] for line in out.splitlines() if len(cells := line.strip(" │").split()) > 5}
    assert " ".join(lines["a"]) == "│ 25 │ 4 │ 12.5 │ 2.00 │ 3 of 8 pictures"
    assert " ".join(lines["b"]) == "│ 25 │ 4 │ 12.5 │ 2.00 │ 5 of 5 pictures"
    assert "no face in 8 of 13 pictures searched (2 of 2 clips); 1 clip without any" in out
    assert "c failed: c.mp4 has no video track" in out and "weights random" in out


def test_all_stores_in_one_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _store(root, "face", ["a", "b"], {}, FACES)
    _store(root, "logmel", ["a"], {"b": "silent"})
    (root / "data/features/demo/motion").mkdir()
    show(None, root)
    lines = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "│" in line}
    assert "8 of 13" in lines["face"]
    assert lines["logmel"].replace(" ", "").startswith("│logmel│1│1│1│4│12.5│")
    assert "unfinished" in lines["motion"]


def test_long_stores_are_cut_unless_all_is_asked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _store(root, "logmel", [f"clip{k:02}" for k in range(NUM_ROWS + 3)], {})
    show("logmel", root)
    short = capsys.readouterr().out
    assert "3 more clips: --all shows them" in short and "clip22" not in short
    show("logmel", root, every=True)
    assert "clip22" in capsys.readouterr().out


def test_wrong_names(root: Path) -> None:
    with pytest.raises(InputError, match=r"has no features: run `blended features extract ENCODER`"):
        show("face", root)
    _store(root, "face", ["a"], {})
    with pytest.raises(InputError, match="did you mean 'face'"):
        show("fase", root)
