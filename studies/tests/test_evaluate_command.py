"""`blended evaluate` as a user runs it: files in, a table and JSON out, one sentence for a mistake."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from blended.data.corpora.blemore import EMOTIONS, SPACE
from blended.studies.__main__ import main
from blended.studies.params import DecisionConfig

COLUMNS = (
    "filename", "video_id", "mix", "emotion_1", "emotion_2", "emotion_1_salience", "emotion_2_salience",
    "version", "situation", "intensity_level", "fold",
)  # fmt: skip
FOLD_OF_ACTOR = {"A1": 0, "A2": 0, "A3": 1, "A4": 1}
Row = dict[str, object]


def write(path: Path, rows: list[Row], columns: tuple[str, ...] | None = None) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def labelled() -> list[Row]:
    """Every state once per actor, in the columns of BLEMORE."""
    rows: list[Row] = []
    for actor, state in product(FOLD_OF_ACTOR, SPACE.states):
        shares = list(state.rounded().items())
        row: Row = {"video_id": actor, "mix": int(state.is_blend), "fold": FOLD_OF_ACTOR[actor]}
        row["emotion_1"] = shares[0][0]
        if state.is_blend:
            (first, p), (second, q) = shares
            row |= {"emotion_2": second, "emotion_1_salience": p, "emotion_2_salience": q}
            row["filename"] = f"{actor}_mix_{first}_{second}_{p}_{q}_ver1"
        else:
            kind = "sit" if shares[0][0] == "neu" else "int"
            row["filename"] = f"{actor}_{shares[0][0]}_{kind}1_ver1"
        rows.append(row)
    return rows


def scored(labels: list[Row]) -> list[Row]:
    rng = np.random.default_rng(0)
    targets = np.array([SPACE.target(state) for _ in FOLD_OF_ACTOR for state in SPACE.states])
    logits = np.log(targets + 0.05) + rng.normal(size=targets.shape) * 0.5
    return [
        {"filename": row["filename"], "fold": row["fold"], **dict(zip(EMOTIONS, values, strict=True))}
        for row, values in zip(labels, logits.tolist(), strict=True)
    ]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """scores.csv and metadata.csv."""
    labels = labelled()
    return write(tmp_path / "scores.csv", scored(labels)), write(tmp_path / "metadata.csv", labels, COLUMNS)


Ran = tuple[int, str, str]
"""Exit status, stdout, stderr."""
Blended = Callable[..., Ran]


@pytest.fixture
def blended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Blended:
    """The command in this process: a new one takes seconds to import."""

    def run(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["blended", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as raised:
            main()
        captured = capsys.readouterr()
        return int(raised.value.code or 0), captured.out, captured.err

    return run


def one_sentence(ran: Ran) -> str:
    """What a mistake must look like."""
    status, _, stderr = ran
    assert status == 1, stderr
    assert stderr.count("\n") == 1
    assert stderr.startswith("error: ")
    return stderr


def test_the_table_and_the_json(blended: Blended, files: tuple[Path, Path], tmp_path: Path) -> None:
    scores, metadata = files
    status, stdout, stderr = blended(scores, "--metadata", metadata, "--json", tmp_path / "out.json")
    assert status == 0, stderr
    assert "set-ratio, cross-fold" in stdout
    result = json.loads((tmp_path / "out.json").read_text())
    assert set(result) == {
        "folds", "presence_accuracy", "salience_accuracy", "score", "presence_interval", "salience_interval",
        "score_interval", "intervals_over", "decision", "tune", "normalise", "calibrate", "seed", "nesting",
        "blended_version", "detail", "scores",
    }  # fmt: skip
    assert [fold["clips"] for fold in result["folds"]] == [72, 72]
    assert {"fold", "clips", "presence_accuracy", "salience_accuracy"} < set(result["folds"][0])
    # Nobody says what the models behind a file saw, so that is said.
    assert result["nesting"] == "unknown"
    assert "it is not known what the models behind these scores saw" in " ".join(stdout.split())
    assert (result["decision"], result["tune"], result["normalise"], result["seed"], result["scores"]) == (
        "set-ratio", "cross-fold", "none", 0, ["logits"],
    )  # fmt: skip
    plain = ("--decision", "thresholds", "--json", tmp_path / "out.json")
    assert blended(scores, "--metadata", metadata, *plain)[0] == 0
    assert set(json.loads((tmp_path / "out.json").read_text())["folds"][0]) == {
        "fold", "clips", "presence_accuracy", "salience_accuracy", "alpha", "beta",
    }  # fmt: skip


def test_every_command_decides_alike_unless_told(
    blended: Blended, files: tuple[Path, Path], tmp_path: Path
) -> None:
    """What trains, what evaluates and what tasks say: one default; in-fold has no other than thresholds."""
    scores, metadata = files
    found = {}
    for tune in ("cross-fold", "in-fold"):
        out = tmp_path / f"{tune}.json"
        assert blended(scores, "--metadata", metadata, "--tune", tune, "--json", out)[0] == 0
        found[tune] = json.loads(out.read_text())["decision"]
    trained = DecisionConfig().resolved("mixture")
    assert found == {"cross-fold": trained.name, "in-fold": "thresholds"}
    assert trained.protocol(0).decision == DecisionConfig().protocol(0).decision == found["cross-fold"]


def test_files_of_logits_and_of_probabilities_are_one_ensemble(
    blended: Blended, files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The same model twice, once as its softmax: each read as what it is, twice the same answer."""
    scores, metadata = files
    rows = scored(labelled())
    for row in rows:
        powers = np.exp([float(str(row[name])) for name in EMOTIONS])
        row.update(zip(EMOTIONS, (powers / powers.sum()).tolist(), strict=True))
    soft = write(tmp_path / "soft.csv", rows)
    out = tmp_path / "out.json"

    def run(*arguments: str | Path) -> tuple[dict[str, object], str]:
        given = ("--metadata", metadata, "--decision", "thresholds", "--json", out)
        status, _, stderr = blended(*arguments, *given)
        assert status == 0, stderr
        return json.loads(out.read_text()), " ".join(stderr.split())

    twice, quiet = run(scores, scores)
    right, none = run(scores, soft, "--scores", "logits", "--scores", "probabilities")
    wrong, said = run(scores, soft)
    assert right["score"] == pytest.approx(twice["score"], abs=1e-12)
    assert right["scores"] == ["logits", "probabilities"]
    assert quiet == none == "" and "remarks" not in right
    assert wrong["score"] != right["score"]
    (remark,) = wrong["remarks"]  # pyright: ignore[reportGeneralTypeIssues]
    assert "soft.csv look like probabilities" in remark
    assert "look like probabilities" in said and "say `--scores probabilities`" in said
    thrice = ("--metadata", metadata, *("--scores", "logits") * 3)
    assert "got --scores 3 times for 2 files" in one_sentence(blended(scores, soft, *thrice))


def test_results_are_taken_apart(blended: Blended, files: tuple[Path, Path], tmp_path: Path) -> None:
    scores, metadata = files
    status, stdout, _ = blended(scores, "--metadata", metadata, "--json", tmp_path / "out.json")
    assert status == 0
    for words in (
        "macro presence", "salience given presence", "Pearson, shares", "EMD, probabilities to shares",
        "calibration error, emotions", "by emotion", "by pair", "by shares", "by intensity level",
        "intensity 1", "situation 1", "70/30", "disg+sad",
    ):  # fmt: skip
        assert words in stdout, words
    detail = json.loads((tmp_path / "out.json").read_text())["detail"]
    assert set(detail) == {"overall", "emotions", "pairs", "shares", "groups"}
    assert [detail["emotions"][name]["clips"] for name in EMOTIONS] == [52] * 5 + [4]
    assert len(detail["pairs"]) == 10 and detail["shares"]["70/30"]["clips"] == 80
    levels = detail["groups"]["intensity level"]
    assert {name: one["clips"] for name, one in levels.items()} == {
        "blend": 120, "intensity 1": 20, "situation 1": 4,
    }  # fmt: skip
    status, brief, _ = blended(scores, "--metadata", metadata, "--no-details")
    assert status == 0 and "by emotion" not in brief


def test_the_optimistic_way_prints_what_it_adds(
    blended: Blended, files: tuple[Path, Path], tmp_path: Path
) -> None:
    scores, metadata = files
    rows = {}
    for tune in ("in-fold", "cross-fold"):
        out = tmp_path / f"{tune}.json"
        given = ("--metadata", metadata, "--decision", "thresholds", "--tune", tune, "--json", out)
        status, stdout, _ = blended(scores, *given)
        assert status == 0
        rows[tune] = json.loads(out.read_text())
        assert ("optimistic" in stdout) is ("is the gap" in stdout) is (tune == "in-fold")
    assert rows["in-fold"]["optimistic"] is True and "optimistic" not in rows["cross-fold"]
    assert rows["in-fold"]["cross_fold_score"] == rows["cross-fold"]["score"]


def test_the_weight_of_presence_is_an_option(
    blended: Blended, files: tuple[Path, Path], tmp_path: Path
) -> None:
    scores, metadata = files
    out = tmp_path / "out.json"
    weighted = ("--decision", "bayes", "--presence-weight", "0.9", "--json", out)
    status, stdout, _ = blended(scores, "--metadata", metadata, *weighted)
    assert status == 0 and "bayes, cross-fold, presence weight 0.9" in stdout
    assert json.loads(out.read_text())["presence_weight"] == 0.9


def test_order_of_columns_and_rows_changes_nothing(
    blended: Blended, files: tuple[Path, Path], tmp_path: Path
) -> None:
    scores, metadata = files
    with scores.open(newline="") as file:
        rows: list[Row] = [dict(row) for row in csv.DictReader(file)]
    other = write(tmp_path / "other.csv", rows[::-1], ("neu", "fold", *EMOTIONS[:-1][::-1], "filename"))
    results = []
    for number, path in enumerate((scores, other)):
        out = tmp_path / f"{number}.json"
        status, _, stderr = blended(
            path, "--metadata", metadata, "--decision", "templates", "--normalise", "actor", "--json", out
        )
        assert status == 0, stderr
        results.append(out.read_text())
    assert results[0] == results[1]


def test_one_sentence_for_a_broken_cell(blended: Blended, files: tuple[Path, Path]) -> None:
    scores, metadata = files
    lines = scores.read_text().splitlines()
    cells = lines[4].split(",")
    lines[4] = ",".join([*cells[:2], "high", *cells[3:]])
    scores.write_text("\n".join(lines) + "\n")
    sentence = one_sentence(blended(scores, "--metadata", metadata))
    assert f"line 5: column 'ang' of clip '{cells[0]}' holds 'high', expected a number" in sentence


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--decision", "treshold"), "unknown decision 'treshold': did you mean 'thresholds'?"),
        (("--decision", "bayes", "--tune", "in-fold"), "reports its own training labels"),
        (("--scores", "probabilities"), "are negative (-"),
        (("--scores", "probabilities"), "if these are logits, say `--scores logits`"),
        (("--decision", "thresholds", "--presence-weight", "0.9"), "changes nothing under 'thresholds'"),
        (("--decision", "expected-score"), "use set-ratio or bayes, or a model that scores states"),
        (("--normalise", "actr"), "unknown normalisation 'actr': did you mean 'actor'?"),
    ],
)
def test_one_sentence_for_a_wrong_flag(
    blended: Blended, files: tuple[Path, Path], arguments: tuple[str, ...], expected: str
) -> None:
    scores, metadata = files
    assert expected in one_sentence(blended(scores, "--metadata", metadata, *arguments))


def test_one_sentence_for_an_absent_file(blended: Blended, files: tuple[Path, Path], tmp_path: Path) -> None:
    sentence = one_sentence(blended(tmp_path / "none.csv", "--metadata", files[1]))
    assert (
        "none.csv does not exist: expected a CSV with filename, fold and one column per emotion" in sentence
    )


def test_a_mistake_in_a_process_of_its_own_shows_no_traceback(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "blended.studies", "evaluate", "none.csv", "--metadata", "none.csv"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.returncode == 1
    expected = "a table of labels: BLEMORE's train_metadata.csv, or filename, actor, fold and label"
    assert ran.stderr == f"error: none.csv does not exist: expected {expected}\n"


def test_people_of_few_clips_are_held_against_everybody_and_counted(blended: Blended, tmp_path: Path) -> None:
    """One clip of A1 and four of A3 are left; a mapping that answered them all alike is no normalisation."""
    kept = [row for row in labelled() if row["video_id"] in ("A2", "A4")]
    kept += [row for row in labelled() if row["video_id"] == "A1"][:1]
    kept += [row for row in labelled() if row["video_id"] == "A3"][8:12]
    names = {row["filename"] for row in kept}
    scores = write(tmp_path / "scores.csv", [row for row in scored(labelled()) if row["filename"] in names])
    metadata, out = write(tmp_path / "train.csv", kept, COLUMNS), tmp_path / "out.json"
    options = ("--metadata", metadata, "--decision", "templates", "--normalise", "actor")
    status, said, _ = blended(scores, *options, "--json", out)
    assert status == 0
    assert "2 of 4 people (5 of 77 clips) are seen in fewer than 16 other clips" in " ".join(said.split())
    assert json.loads(out.read_text())["few_clips"].startswith("2 of 4 people (5 of 77 clips)")


def test_people_who_are_seen_once_each_cannot_be_compared(blended: Blended, tmp_path: Path) -> None:
    rows = [{**row, "video_id": f"V{number}"} for number, row in enumerate(labelled())]
    rows = [{**row, "filename": f"{row['video_id']}_{str(row['filename'])[3:]}"} for row in rows]
    scores = [{**row, "filename": own["filename"]} for row, own in zip(scored(labelled()), rows, strict=True)]
    given = (write(tmp_path / "scores.csv", scores), "--metadata", write(tmp_path / "m.csv", rows, COLUMNS))
    said = one_sentence(blended(*given, "--normalise", "actor", "--decision", "templates"))
    assert "of one person with each other, but 72 clips are of 72 people: none beside the first" in said
