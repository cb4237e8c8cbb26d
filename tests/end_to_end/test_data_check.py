"""`blended data check`: what is odd is printed by grade, and an error fails until it is mended or listed."""

import json
import shutil
from pathlib import Path

import pytest
from tests.conftest import Command

from toys.clips import toy_corpus, write_clip

PARAMS = """\
corpus: demo
encoders: {logmel: {}}
recipes: {}
"""
CLIP = "A101_hap_int1_ver1"


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    toy_corpus(root / "data" / "corpora" / "demo", seconds=0.2)
    (root / "params.yaml").write_text(PARAMS)
    return root


@pytest.fixture
def root(toys: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toys, tmp_path / "project"))


def _table(root: Path) -> Path:
    return root / "data" / "corpora" / "demo" / "train_metadata.csv"


def _exclude(root: Path) -> None:
    path = root / "data" / "corpora" / "demo" / "exclude.yaml"
    path.write_text(f"- clip: {CLIP}\n  reason: planted\n")


def _move_to_fold(root: Path, fold: int) -> None:
    lines = _table(root).read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(CLIP))
    lines[at] = lines[at].rpartition(",")[0] + f",{fold}"
    _table(root).write_text("\n".join(lines) + "\n")


def test_a_sound_corpus_is_counted(root: Path, blended: Command) -> None:
    done = blended("data", "check", "--root", root)
    assert (done.code, done.out) == (0, "0 error(s), 0 warning(s), 1 note(s)\n")
    assert "note: training clips by fold 0: 10, fold 1: 10" in " ".join(done.err.split())
    assert not (root / "data" / "index").exists(), "checking writes no index"


def test_an_actor_in_two_folds_is_an_error_until_it_is_listed(root: Path, blended: Command) -> None:
    _move_to_fold(root, 3)
    for command in ("check", "index"):
        done = blended("data", command, "--root", root)
        told = " ".join(done.err.split())
        assert done.code == 1
        assert (
            f"error: actor 'A101' is in fold 0 (9 clips such as A101_ang_int1_ver1) and in fold 3 ({CLIP})"
            in told
        )
        assert (
            "error: 1 error(s), see above: mend them, or list the clips with a reason in the corpus's" in told
        )
        assert "Traceback" not in done.err
    assert not (root / "data" / "index" / "demo.parquet").exists()
    _exclude(root)
    assert blended("data", "check", "--root", root).code == 0
    assert blended("data", "index", "--root", root).code == 0
    written = json.loads((root / "data" / "index" / "demo_findings.json").read_text())
    assert {
        "level": "note",
        "clip_id": CLIP,
        "message": "left out: planted (exclude.yaml)",
        "unusable": False,
    } in written


def test_what_may_be_tolerated(root: Path, blended: Command) -> None:
    """Clips that cannot be used, up to a number; never a wrong label or a leak."""
    (root / "params.yaml").write_text(f"{PARAMS}max_failures: 5\n")
    clip = root / "data" / "corpora" / "demo" / "train" / f"{CLIP}.mp4"
    clip.write_bytes(b"")
    done = blended("data", "check", "--root", root)
    assert (done.code, done.out) == (0, "1 error(s), 0 warning(s), 1 note(s)\n")
    write_clip(clip, amplitude=0.0, seconds=0.2)
    done = blended("data", "check", "--root", root)
    assert (done.code, done.out) == (0, "0 error(s), 1 warning(s), 1 note(s)\n")
    assert f"warning: {CLIP}: the sound is silent (-120 dBFS)" in " ".join(done.err.split())
    _table(root).write_text(_table(root).read_text().replace(f"{CLIP},A101,0,hap", f"{CLIP},A101,0,sad"))
    done = blended("data", "check", "--root", root)
    assert done.code == 1
    assert f"error: {CLIP}: " in done.err
    assert "says hap but its columns say sad" in " ".join(done.err.split())


def test_importing_a_table_by_its_card(toys: Path, tmp_path: Path, blended: Command) -> None:
    """A card names its corpus; the next step is told, and works."""
    source, root = tmp_path / "source", tmp_path / "root"
    source.mkdir()
    clips = sorted((toys / "data" / "corpora" / "demo" / "train").glob("*_int1_ver1.mp4"))
    rows = [f"{clip.name},{clip.name[:4]},{clip.name.split('_')[1]}" for clip in clips]
    for clip in clips:
        shutil.copy(clip, source)
    (source / "labels.csv").write_text("\n".join(["file,who,emotion", *rows]))
    (source / "card.yaml").write_text(
        "name: mine\ntable: labels.csv\npath: {column: file}\nactor: who\ntask: single\nlabel: [emotion]\n"
        "emotions: {ang: ang, disg: disg, fea: fea, hap: hap, sad: sad}\n"
    )
    done = blended("data", "import", "table", source, "--root", root)
    assert done.code == 0, done.err
    wanted = f"`corpus: mine` and `corpora.mine.source: {source}`"
    assert done.out == f"next: {wanted} in params.yaml, then `blended data check`\n"
    (root / "params.yaml").write_text(
        f"corpus: mine\ncorpora: {{mine: {{source: {source}}}}}\nencoders: {{}}\nrecipes: {{}}\n"
    )
    done = blended("data", "check", "--root", root)
    assert (done.code, done.out) == (0, "0 error(s), 0 warning(s), 1 note(s)\n")
    (source / "labels.csv").write_text((source / "labels.csv").read_text().replace(",", ";"))
    done = blended("data", "import", "table", source, "--root", root)
    assert done.code == 1
    assert "the separator must be a comma, so save it with commas" in " ".join(done.err.split())
    assert blended("data", "check", "--root", root).code == 0, "the corpus is as it was"
