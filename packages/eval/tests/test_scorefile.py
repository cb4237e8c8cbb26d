"""Score files of other people: what is read, and the sentence for everything that is wrong with one."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from blended.data import Clip, InputError
from blended.data.corpora.blemore import EMOTIONS, SPACE, truth_from_name
from blended.eval.predictions import read_scores, remark

NAMES = ("A1_ang_int1_ver1", "A1_mix_ang_hap_70_30_ver1", "A2_neu_sit1_ver1", "A2_sad_int2_ver1")
FOLDS = (0, 0, 1, 1)
CLIPS = [
    Clip(name, Path(f"{name}.mov"), name.split("_")[0], fold=fold, mixture=truth_from_name(name))
    for name, fold in zip(NAMES, FOLDS, strict=True)
]
VALUES = np.random.default_rng(0).normal(size=(4, 6)).round(6)
Row = dict[str, object]


def table() -> list[Row]:
    return [
        {"filename": name, "fold": fold, **dict(zip(EMOTIONS, values, strict=True))}
        for name, fold, values in zip(NAMES, FOLDS, VALUES.tolist(), strict=True)
    ]


def write(path: Path, rows: list[Row], columns: list[str] | None = None) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_rows_and_columns_come_in_any_order(tmp_path: Path) -> None:
    straight = read_scores(write(tmp_path / "a.csv", table()), CLIPS, SPACE, "logits")
    columns = ["neu", "sad", "fold", "hap", "filename", "ang", "disg", "fea"]
    mixed = read_scores(write(tmp_path / "b.csv", table()[::-1], columns), CLIPS, SPACE, "logits")
    np.testing.assert_array_equal(straight.values, VALUES)
    np.testing.assert_array_equal(mixed.values, VALUES)
    assert straight.columns == mixed.columns == EMOTIONS
    assert straight.clip_ids == mixed.clip_ids == NAMES


def test_a_fold_written_as_a_decimal_is_a_fold(tmp_path: Path) -> None:
    rows: list[Row] = [{**row, "fold": f"{row['fold']}.0"} for row in table()]
    np.testing.assert_array_equal(
        read_scores(write(tmp_path / "a.csv", rows), CLIPS, SPACE, "logits").values, VALUES
    )


def change(row: int, **cells: object) -> Callable[[list[Row]], list[Row]]:
    def changed(rows: list[Row]) -> list[Row]:
        rows[row].update(cells)
        return rows

    return changed


def renamed(old: str, new: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{new if key == old else key: cell for key, cell in row.items()} for row in rows]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda rows: rows[:-1], "has no scores for 1 of 4 clips of the metadata: A2_sad_int2_ver1"),
        (
            lambda rows: [*rows, {**rows[0], "filename": "A9_ang_int1_ver1"}],
            "has scores for 1 clips that the metadata does not have: A9_ang_int1_ver1",
        ),
        (
            lambda rows: [*rows, rows[0]],
            "clip 'A1_ang_int1_ver1' has more than one row; keep one row per clip",
        ),
        (renamed("disg", "disgust"), "unknown column 'disgust': did you mean 'disg'?"),
        (
            lambda rows: [{key: cell for key, cell in row.items() if key != "sad"} for row in rows],
            "lacks the column(s) sad; expected filename, fold and one per emotion: ang, disg, fea, hap",
        ),
        (change(1, hap="high"), "line 3: column 'hap' of clip 'A1_mix_ang_hap_70_30_ver1' holds 'high'"),
        (change(2, ang=""), "line 4: column 'ang' of clip 'A2_neu_sit1_ver1' is empty, expected a number"),
        (change(0, fold="x"), "line 2: column 'fold' of clip 'A1_ang_int1_ver1' holds 'x'"),
        (change(0, fold="0.5"), "clip 'A1_ang_int1_ver1' holds '0.5', expected a whole number"),
        (change(3, filename=""), "line 5: filename is empty"),
        (change(1, neu="nan"), "'A1_mix_ang_hap_70_30_ver1' are NaN or infinite (1 such rows in all)"),
        (change(3, neu="inf"), "scores of clip 'A2_sad_int2_ver1' are NaN or infinite (1 such rows in all)"),
        (
            change(3, fold=0),
            "puts clip 'A2_sad_int2_ver1' in fold 0, the metadata in fold 1; a model must be scored on the "
            "fold that it did not train on",
        ),
    ],
)  # fmt: skip
def test_a_wrong_file_is_answered_with_what_and_where(
    tmp_path: Path, broken: Callable[[list[Row]], list[Row]], sentence: str
) -> None:
    path = write(tmp_path / "scores.csv", broken(table()))
    with pytest.raises(InputError) as raised:
        read_scores(path, CLIPS, SPACE, "logits")
    assert str(path) in str(raised.value)
    assert sentence in str(raised.value)


def test_probabilities_that_are_logits_say_by_how_much_they_are_off(tmp_path: Path) -> None:
    rows = table()
    for row in rows:
        row.update(dict.fromkeys(EMOTIONS, 1 / 6))
    path = write(tmp_path / "p.csv", rows)
    assert read_scores(path, CLIPS, SPACE, "probabilities").values.sum() == pytest.approx(4)
    rows[2]["neu"] = 0.5
    with pytest.raises(InputError) as raised:
        read_scores(write(path, rows), CLIPS, SPACE, "probabilities")
    assert "probabilities of clip 'A2_neu_sit1_ver1' add up to 1.3333, expected 1" in str(raised.value)
    assert "most others do: correct that row" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: 100 * p, "add up to 100.0000, expected 1; these look like percent: divide them by 100"),
        (lambda p: np.sqrt(p), "these look like sigmoids, a chance for every emotion by itself"),
        (lambda p: np.log(p), r"are negative \(.*\); if these are logits, say `--scores logits`"),
        (lambda p: np.log(p) + 30, "expected 1; if these are logits, say `--scores logits`"),
    ],
)
def test_what_is_no_probability_is_refused_by_what_it_looks_like(
    tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_scores(changed_by(tmp_path, change), CLIPS, SPACE, "probabilities")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p, "look like probabilities"),
        (lambda p: (1000 * p).round() / 1000, "look like probabilities"),
        (lambda p: (100 * p).round(1), "look like percent"),
        (lambda p: np.sqrt(p), "look like sigmoids"),
        (lambda p: np.log(p), None),
        (lambda p: np.log(p / (1 - p)), None),
        (lambda p: np.log(p) + 30, None),
        (lambda p: 100 * p - 20, None),
    ],
)
def test_logits_that_look_like_something_else_are_said(
    tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], said: str | None
) -> None:
    """They may be any numbers, so it is no error; a logarithm of probabilities is as good as any logit."""
    path = changed_by(tmp_path, change)
    found = remark(path, read_scores(path, CLIPS, SPACE, "logits"))
    if said is None:
        assert found is None
    else:
        assert found is not None and f"the scores of {path} {said}" in found


def changed_by(tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """A file of distributions, put through a function."""
    rows = table()
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(EMOTIONS)), size=len(rows))
    for row, values in zip(rows, change(drawn).tolist(), strict=True):
        row.update(zip(EMOTIONS, values, strict=True))
    return write(tmp_path / "changed.csv", rows)


def test_negative_probabilities_are_refused(tmp_path: Path) -> None:
    rows = table()
    for row in rows:
        row.update(zip(EMOTIONS, (1.2, -0.2, 0, 0, 0, 0), strict=True))
    with pytest.raises(InputError, match="probabilities of clip 'A1_ang_int1_ver1' are negative"):
        read_scores(write(tmp_path / "p.csv", rows), CLIPS, SPACE, "probabilities")


def test_an_absent_file_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv does not exist: expected a CSV with filename, fold"):
        read_scores(tmp_path / "none.csv", CLIPS, SPACE, "logits")


@pytest.mark.parametrize("content", [b"", b"filename,fold,ang\nA1,0,\xff\xfe\n", b"filename,fold\na,0,1,2\n"])
def test_a_file_that_is_no_csv_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.csv"):
        read_scores(path, CLIPS, SPACE, "logits")
