"""A user's mistakes: one sentence, exit status 1, no traceback, and earlier results untouched."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Command, Outcome

from toys.clips import write_clip

METADATA = "data/corpora/demo/train_metadata.csv"


def fingerprint(project: Path) -> dict[str, str]:
    """Hash of everything that earlier steps made, beside the corpus that the test damages."""
    made = [*(project / "data" / "index").rglob("*"), *(project / "runs").rglob("*")]
    made += [*(project / "data" / "features").rglob("*"), *(project / "report").rglob("*")]
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made
        if path.is_file() and path.suffix != ".lock"
    }


def edit(project: Path, name: str, change: Callable[[str], str]) -> None:
    path = project / name
    before = path.read_text()
    after = change(before)
    assert after != before, "the planted fault must change the file"
    path.write_text(after)


def first_clip(project: Path, pattern: str = "*.mp4") -> Path:
    return sorted((project / "data" / "corpora" / "demo" / "train").glob(pattern))[0]


def refused(outcome: Outcome, *fragments: str) -> None:
    flat = " ".join(outcome.err.split())
    assert outcome.code == 1, outcome.err
    assert "Traceback" not in outcome.err
    assert "error: " in flat
    for fragment in fragments:
        assert fragment in flat


def test_a_row_without_its_clip(project: Path, blended: Command) -> None:
    before = fingerprint(project)
    clip = first_clip(project)
    clip.unlink()
    refused(blended("data", "index", "--root", project), clip.stem, "train_metadata.csv")
    assert fingerprint(project) == before


def test_a_clip_without_its_row(project: Path, blended: Command) -> None:
    clip = first_clip(project)
    edit(project, METADATA, lambda text: "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith(clip.stem)))  # fmt: skip
    refused(blended("data", "index", "--root", project), clip.stem)


def test_a_duplicated_row(project: Path, blended: Command) -> None:
    edit(project, METADATA, lambda text: text + text.splitlines(keepends=True)[3])
    refused(blended("data", "index", "--root", project), first_row(project, 3))


def first_row(project: Path, number: int) -> str:
    return (project / METADATA).read_text().splitlines()[number].split(",")[0]


def test_an_actor_in_two_folds(project: Path, blended: Command) -> None:
    def move(text: str) -> str:
        lines = text.splitlines()
        fields = lines[1].split(",")
        fields[-1] = str((int(fields[-1]) + 1) % 5)
        return "\n".join([lines[0], ",".join(fields), *lines[2:]]) + "\n"

    edit(project, METADATA, move)
    refused(blended("data", "index", "--root", project), "is in fold", "every actor in one fold")


def test_shares_that_do_not_add_up(project: Path, blended: Command) -> None:
    edit(project, METADATA, lambda text: text.replace(",70,30,", ",70,40,", 1))
    refused(blended("data", "index", "--root", project), "shares must add up to 100", "line ")


def test_an_unknown_emotion(project: Path, blended: Command) -> None:
    edit(project, METADATA, lambda text: text.replace(",0,ang,", ",0,angr,", 1))
    refused(blended("data", "index", "--root", project), "'angr'", "did you mean 'ang'?")


def test_a_missing_column(project: Path, blended: Command) -> None:
    edit(project, METADATA, lambda text: text.replace("emotion_1_salience", "salience_1", 1))
    refused(blended("data", "index", "--root", project), "lacks the column(s) emotion_1_salience")


@pytest.mark.parametrize(("content", "fragment"), [(b"", "0 bytes"), (b"this is no video\n" * 40, "")])
def test_an_unreadable_clip_stops_the_index(
    project: Path, blended: Command, content: bytes, fragment: str
) -> None:
    before = fingerprint(project)
    clip = first_clip(project)
    clip.write_bytes(content)
    refused(blended("data", "index", "--root", project), clip.stem, fragment, "more than max_failures = 0")
    assert fingerprint(project) == before


@pytest.mark.parametrize("track", ["audio", "video"])
def test_a_clip_without_a_track_stops_the_index(project: Path, blended: Command, track: str) -> None:
    before = fingerprint(project)
    clip = first_clip(project)
    clip.unlink()
    write_clip(clip, with_audio=track != "audio", with_video=track != "video")
    refused(blended("data", "index", "--root", project), clip.stem, f"no {track} track", "max_failures = 0")
    assert fingerprint(project) == before


def test_a_truncated_clip_stops_the_index(project: Path, blended: Command) -> None:
    clip = first_clip(project)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    refused(blended("data", "index", "--root", project), clip.stem, "more than max_failures = 0")


def test_unreadable_clips_can_be_tolerated_and_are_counted(project: Path, blended: Command) -> None:
    clip = first_clip(project)
    clip.write_bytes(b"")
    edit(project, "params.yaml", lambda text: text + "max_failures: 1\n")
    for step in (("data", "index"), ("features", "extract", "logmel", "motion")):
        done = blended(*step, "--root", project, "--workers", "1")
        assert done.code == 0, done.err
    assert "1 failed" in done.err
    refused(
        blended("train", "late-both-actor", "--root", project),
        f"logmel lacks 1 ({clip.stem}); motion lacks 1",
        "`missing: drop` to leave these clips out",
    )
    edit(project, "params.yaml", lambda text: text.replace("    fusion:", "    missing: drop\n    fusion:"))
    for recipe in ("linear-logmel", "linear-motion", "late-both-actor"):
        assert blended("train", recipe, "--root", project).code == 0
    assert blended("compare", "--root", project).code == 0
    assert clip.stem in (project / "report" / "index.html").read_text()


def test_a_misspelt_key(project: Path, blended: Command) -> None:
    before = fingerprint(project)
    edit(project, "params.yaml", lambda text: text.replace("encoders:", "encodrs:", 1))
    refused(blended("train", "linear-logmel", "--root", project), "'encodrs'", "did you mean 'encoders'?")
    assert fingerprint(project) == before


def test_a_misspelt_key_deep_inside(project: Path, blended: Command) -> None:
    edit(project, "params.yaml", lambda text: text.replace("max_epochs: 10", "max_epoch: 10", 1))
    refused(
        blended("train", "linear-motion", "--root", project),
        "recipes.linear-logmel.fusion",
        "max_epoch",
        "did you mean 'max_epochs'?",
    )


def test_an_unknown_recipe(project: Path, blended: Command) -> None:
    refused(blended("train", "linear-logmell", "--root", project), "did you mean 'linear-logmel'?")


def test_a_recipe_with_unknown_features(project: Path, blended: Command) -> None:
    edit(project, "params.yaml", lambda text: text.replace("[logmel, motion]", "[logmel, motoin]", 1))
    refused(
        blended("train", "linear-logmel", "--root", project),
        "recipes.late-both-actor.fusion.features",
        "did you mean 'motion'?",
    )


def test_features_of_other_settings_are_refused(project: Path, blended: Command) -> None:
    edit(project, "params.yaml", lambda text: text.replace("logmel: {}", "logmel: {num_bins: 40}", 1))
    before = fingerprint(project)
    refused(blended("train", "linear-logmel", "--root", project), "num_bins", "run the extraction again")
    assert fingerprint(project) == before


def test_an_empty_fold(project: Path, blended: Command) -> None:
    edit(project, METADATA, lambda text: "\n".join(
        line[:-1] + "5" if line.endswith(",4") else line for line in text.splitlines()) + "\n")  # fmt: skip
    refused(blended("data", "index", "--root", project), "fold 4")


def test_no_params(tmp_path: Path, blended: Command) -> None:
    refused(blended("train", "linear-logmel", "--root", tmp_path), "params.yaml does not exist")
