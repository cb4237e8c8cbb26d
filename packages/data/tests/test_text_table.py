"""Tables as people save them: what is read, and the sentence with file, line and remedy for the rest."""

from pathlib import Path

import polars as pl
import pytest

from blended.data.errors import InputError
from blended.data.text_table import inside, read_text_table

NAMES = ("clip", "note")


def _read(path: Path, content: bytes) -> list[tuple[int, dict[str, str]]]:
    path.write_bytes(content)
    return [*read_text_table(path, NAMES, "a table").rows]


def test_line_ends_marks_and_quotes(tmp_path: Path) -> None:
    expected = [(2, {"clip": "a", "note": "x, y"}), (3, {"clip": "b", "note": ""})]
    path = tmp_path / "t.csv"
    assert _read(path, b'clip,note\na,"x, y"\nb,\n') == expected
    assert _read(path, b'clip,note\r\na,"x, y"\r\nb,\r\n') == expected
    assert _read(path, b'\xef\xbb\xbfclip, note \na,"x, y"\nb,') == expected
    assert _read(path, b'clip,note\na,"x, y"\nb,\n\n,\n') == expected
    assert _read(path, b'clip,note\na,"two\nlines"\nb,\n')[1] == (4, {"clip": "b", "note": ""})


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"clip": ["a", "b"], "note": [1.5, None]}).write_parquet(path)
    rows = read_text_table(path, NAMES, "a table").rows
    assert rows == ((1, {"clip": "a", "note": "1.5"}), (2, {"clip": "b", "note": ""}))
    path.write_text("no parquet")
    with pytest.raises(InputError, match=r"t\.parquet cannot be read as Parquet"):
        read_text_table(path, NAMES, "a table")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"t\.csv is empty: expected a header and rows"),
        (b"clip,note\n", r"t\.csv has no rows below its header, expected a table"),
        (
            b"clip,note\na,b\nc,gr\xfcn\n",
            r"t\.csv, line 3: .* UTF-8 CSV \(byte 0xfc\); save it with the encod",
        ),
        ("clip,note\na,b\n".encode("utf-16"), r"line 1: cannot be read as UTF-8|UTF-16"),
        (b"c\0lip,note\na,b\n", r"holds zero bytes: it is no text, or UTF-16"),
        (b"clip;note\na;b\n", r"lacks the column\(s\) clip, note; .* separator must be a comma, so save it"),
        (b"clip\tnote\na\tb\n", r"separated by tabs: the separator must be a comma"),
        (b"clip;note\na;0,5\n", r"line 2: 2 cells, expected 1 as in the header; .*separated by semicolons"),
        (b"clip,note\na,b,c\n", r"line 2: 3 cells, expected 2 as in the header; put text that holds commas"),
        (b"clip,note\na\n", r"line 2: 1 cells, expected 2"),
        (b"clip,clip,note\na,b,c\n", r"line 1: the column 'clip' occurs twice; rename one"),
        (b'clip,note\na,"b\n', r"line \d: cannot be read as CSV .*mend its quotes"),
        (b"name,note\na,b\n", r"lacks the column\(s\) clip; it has name, note$"),
    ],
)
def test_wrong_tables(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        _read(tmp_path / "t.csv", content)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv does not exist: expected a table"):
        read_text_table(tmp_path / "t.csv", NAMES, "a table")


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "C:\\a", "..\\a", "", "\\\\host\\a"])
def test_paths_stay_inside(name: str) -> None:
    with pytest.raises(
        InputError, match=r"leads out of the corpus: expected one below corpus, without '\.\.'"
    ):
        inside(Path("corpus"), name)


def test_paths_of_windows() -> None:
    assert inside(Path("corpus"), "train\\a.mp4") == Path("corpus/train/a.mp4")
