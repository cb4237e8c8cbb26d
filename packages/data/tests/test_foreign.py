"""Features of others: every layout that is exchanged, what is masked, and the sentence for what is wrong."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from blended.data.errors import InputError
from blended.data.foreign import ImportedConfig, import_features, open_imported
from blended.data.foreign.tables import read_numbers
from blended.data.store import FeatureStore

CLIPS: dict[str, float | None] = {"a": 2.0, "b": 1.0, "c": None}
VIDEO = ImportedConfig(name="own", modality="video")
AUS = [f"AU{k:02d}_r" for k in (1, 2)]


def _import(
    source: Path,
    config: ImportedConfig = VIDEO,
    clips: dict[str, float | None] = CLIPS,
    *,
    max_failures: int = 0,
) -> FeatureStore:
    root = source.parent / "features"
    import_features(
        source, root, config, clips, corpus_hash="c1", log=lambda text: None, max_failures=max_failures
    )
    return open_imported(root / config.name, config, "c1")


def _folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def _arrays(path: Path, suffix: str = "") -> Path:
    path.mkdir()
    for steps, clip in enumerate(("a", "b", "c"), start=4):
        np.save(path / f"{clip}{suffix}.npy", np.arange(steps * 3, dtype=np.float32).reshape(steps, 3))
    return path


def test_folders_of_arrays(tmp_path: Path) -> None:
    store = _import(_arrays(tmp_path / "WavLM_train"), clips={"a": 2.0, "b": 1.0})
    assert store.clips == ("a", "b")
    features = store.read("a")
    assert features.values.dtype == np.float32
    np.testing.assert_array_equal(features.values, np.arange(12).reshape(4, 3))
    assert (features.rate_hz, store.read("b").rate_hz) == (2.0, 5.0)
    store.verify()
    provenance = json.loads((store.folder / "provenance.json").read_text())
    assert provenance["source"] == "WavLM_train" and provenance["files"] == 3 and provenance["columns"] == []
    assert store.identity.weights == provenance["sha256"]
    assert store.identity.encoder_name == "own"


def test_a_second_import_reads_nothing_and_a_changed_source_everything(tmp_path: Path) -> None:
    source = _arrays(tmp_path / "s")
    clips: dict[str, float | None] = {"a": 2.0}
    before = _import(source, clips=clips).identity
    shard = tmp_path / "features" / "own" / "shard-00000.safetensors"
    state = shard.stat().st_mtime_ns
    assert _import(source, clips=clips).identity == before
    assert shard.stat().st_mtime_ns == state
    np.save(source / "a.npy", np.zeros((2, 3), np.float32))
    store = _import(source, clips=clips)
    assert store.identity.weights != before.weights
    assert store.read("a").values.shape == (2, 3)
    with pytest.raises(
        InputError, match=r"were imported otherwise: corpus is 'c1', expected 'c2'; import them"
    ):
        open_imported(store.folder, VIDEO, "c2")
    with pytest.raises(
        InputError, match=r"imported otherwise: encoder min_confidence is 0\.5, expected 0\.9"
    ):
        open_imported(store.folder, VIDEO.model_copy(update={"min_confidence": 0.9}), "c1")


def test_vectors_and_rates(tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.mkdir()
    for clip in CLIPS:
        np.save(source / f"{clip}.npy", np.ones((1, 5)))
    store = _import(source)
    assert [store.read(clip).rate_hz for clip in CLIPS] == [0, 0, 0]
    steps = _arrays(tmp_path / "t")
    with pytest.raises(
        InputError, match=r"1 clips have no features .*\n  c: nothing says how many steps a second"
    ):
        _import(steps, VIDEO.model_copy(update={"name": "other"}))
    assert _import(steps, VIDEO.model_copy(update={"rate_hz": 50})).read("c").rate_hz == 50


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("the pickle was run",)

    source = tmp_path / "s"
    source.mkdir()
    np.save(source / "a.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(
        InputError, match=r"a: .*a\.npy holds pickled objects, which may run code and are never"
    ):
        _import(source, clips={"a": 1.0})
    path = tmp_path / "x.npz"
    np.savez(path, X=np.ones((1, 2)), filenames=np.array(["a"], dtype=object))
    with pytest.raises(InputError, match=r"x\.npz holds pickled objects"):
        _import(path, clips={"a": 1.0})


def test_npz_of_the_official_baseline(tmp_path: Path) -> None:
    path = tmp_path / "wavlm_static_features.npz"
    np.savez(path, X=np.arange(6.0).reshape(3, 2), filenames=np.array(["b", "a.mov", "train/c.npy"]))
    store = _import(path)
    np.testing.assert_array_equal(store.read("a").values, [[2.0, 3.0]])
    assert store.read("a").rate_hz == 0
    np.savez(path, X=np.ones((3, 7, 2)), filenames=np.array(["a", "b", "c"]))
    assert _import(path, VIDEO.model_copy(update={"rate_hz": 25})).read("a").values.shape == (7, 2)
    for arrays, sentence in (
        ({"X": np.ones((1, 2))}, r"lacks filenames; it has X: expected X \[clip, dim\]"),
        ({"X": np.ones((1, 2)), "filenames": np.array(["a", "b"])}, r"X \(1, 2\) for 2 filenames"),
        (
            {"X": np.ones((2, 2)), "filenames": np.array(["a", "a.mp4"])},
            r"clip 'a' is in rows 1 and 2; remove",
        ),
    ):
        np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
        with pytest.raises(InputError, match=sentence):
            _import(path)
    path.write_text("no zip")
    with pytest.raises(InputError, match=r"features\.npz (cannot be read as an array|holds pickled)"):
        _import(path)


OPENFACE = [
    "frame, face_id, timestamp, confidence, success, gaze_angle_x, pose_Tx, x_0, AU01_r, AU02_r, AU01_c",
    "1, 0, 0.00, 0.98, 1, 0.1, 10, 5, 1.0, 0.5, 1",
    "2, 0, 0.04, 0.98, 1, 0.2, 11, 5, 2.0, 0.5, 0",
    "3, 0, 0.08, 0.20, 1, 0.3, 12, 5, 3.0, 0.5, 0",
    "4, 0, 0.12, 0.00, 0, 0.0, 0, 0, 0.0, 0.0, 0",
    "5, 0, 0.16, 0.98, 1, 0.4, nan, 5, 4.0, 0.5, 0",
]


def test_openface_2(tmp_path: Path) -> None:
    other = [OPENFACE[0].replace("AU01_r, AU02_r", "AU02_r, AU01_r"), *OPENFACE[1:]]
    source = _folder(tmp_path / "s", {"a.csv": "\n".join(OPENFACE), "b.csv": "\r\n".join(other)})
    told: list[str] = []
    result = import_features(
        source, tmp_path / "f", VIDEO, {"a": 1.0, "b": 1.0}, corpus_hash="c1", log=told.append
    )
    assert result.columns == ("gaze_angle_x", "pose_Tx", "AU01_r", "AU02_r")
    assert result.num_masked == 6 and "6 steps masked" in told[-1]
    store = FeatureStore(tmp_path / "f" / "own")
    np.testing.assert_allclose(store.read("a").values, [[0.1, 10, 1, 0.5], [0.2, 11, 2, 0.5]], rtol=1e-6)
    # The same columns in another order are put right by name.
    np.testing.assert_allclose(store.read("b").values, [[0.1, 10, 0.5, 1], [0.2, 11, 0.5, 2]], rtol=1e-6)
    assert store.read("a").rate_hz == pytest.approx(25)


def test_openface_as_pandas_saves_it(tmp_path: Path) -> None:
    lines = [f"{number},{line.replace(', ', ',')}" for number, line in enumerate(OPENFACE)]
    lines[0] = lines[0].replace("0,", ",", 1)
    named = ["Unnamed: 0," + lines[0].lstrip(","), *lines[1:]]
    source = _folder(tmp_path / "s", {"a.csv": "\n".join(lines), "b.csv": "\n".join(named)})
    store = _import(source, clips={"a": 1.0, "b": 1.0})
    assert store.read("a").values.shape == store.read("b").values.shape == (2, 4)


def test_openface_chosen_columns_and_confidence(tmp_path: Path) -> None:
    source = _folder(tmp_path / "s", {"a.csv": "\n".join(OPENFACE)})
    config = ImportedConfig(name="own", modality="video", columns=("AU*_r", "AU*_c"), min_confidence=0)
    assert _import(source, config, {"a": 1.0}).read("a").values.tolist() == [
        [1.0, 0.5, 1.0], [2.0, 0.5, 0.0], [3.0, 0.5, 0.0], [4.0, 0.5, 0.0]
    ]  # fmt: skip
    with pytest.raises(
        InputError, match=r"a\.csv has no column of numbers that fits AU99; it has frame, face_id"
    ):
        _import(source, config.model_copy(update={"columns": ("AU99",)}), {"a": 1.0})


def test_two_faces(tmp_path: Path) -> None:
    stranger = [line.replace(", 0, ", ", 1, ", 1).replace("AU", "AU") for line in OPENFACE[1:2]]
    source = _folder(tmp_path / "s", {"a.csv": "\n".join([*OPENFACE, *stranger])})
    assert len(_import(source, clips={"a": 1.0}).read("a").values) == 2


OPENFACE3 = (
    ',frame,action_units,emotion_index,gaze_yaw,gaze_pitch\n0,1,"[0.1, 0.2, 3e-1]",2,0.5,-0.5\n'
    '1,2,"[0.1, nan, 0.3]",2,0.5,-0.5\n2,3,,,,\n3,4,[0.4 0.5 0.6],3,0.5,-0.5\n'
)


def test_openface_3(tmp_path: Path) -> None:
    store = _import(_folder(tmp_path / "s", {"a.csv": OPENFACE3}), clips={"a": 2.0})
    features = store.read("a")
    np.testing.assert_allclose(
        features.values, [[0.1, 0.2, 0.3, 2, 0.5, -0.5], [0.4, 0.5, 0.6, 3, 0.5, -0.5]], 1e-6
    )
    assert features.rate_hz == 2.0
    provenance = json.loads((store.folder / "provenance.json").read_text())
    assert provenance["columns"][:3] == ["action_units_0", "action_units_1", "action_units_2"]
    ragged = OPENFACE3.replace("[0.4 0.5 0.6]", "[0.4 0.5]")
    with pytest.raises(
        InputError, match=r"a\.csv, line 5: action_units holds 2 numbers where other rows hold 3"
    ):
        _import(_folder(tmp_path / "t", {"a.csv": ragged}), clips={"a": 2.0})


def test_opensmile(tmp_path: Path) -> None:
    functionals = "name;frameTime;F0_amean;loudness_sma3\n'unknown';0.000000;{};-1.5e+01\n"
    source = _folder(tmp_path / "s", {f"{clip}.csv": functionals.format(k) for k, clip in enumerate(CLIPS)})
    store = _import(source, ImportedConfig(name="own", modality="audio"))
    assert store.read("b").values.tolist() == [[1.0, -15.0]]
    assert store.read("b").rate_hz == 0
    descriptors = "name;frameTime;F0\n" + "".join(f"'x';{k / 100:.2f};{k}\n" for k in range(9))
    store = _import(_folder(tmp_path / "t", {"a.csv": descriptors}), clips={"a": 1.0})
    assert (store.read("a").rate_hz, store.read("a").values.shape) == (pytest.approx(100), (9, 1))
    one = tmp_path / "all.csv"
    one.write_text("name;frameTime;F0\n" + "".join(f"'{clip}.wav';0;{k},5\n" for k, clip in enumerate(CLIPS)))
    assert _import(one).read("c").values.tolist() == [[2.5]]


def test_a_table_of_means(tmp_path: Path) -> None:
    path = tmp_path / "means.csv"
    path.write_text(
        "clip,twin,emotion,actor,AU01_r,AU01_c\nx1,a,joy,01,1,0.5\nx2,b,joy,02,2,0.5\nx3,z,joy,03,3,0\n"
    )
    store = _import(path, clips={"a": 1.0, "b": 1.0})
    assert store.read("b").values.tolist() == [[2.0, 0.5]]
    pl.DataFrame(
        {"file": ["a.mp4", "b.mp4"], "label": [1, 2], "vec": [[1.0, 2.0], [3.0, 4.0]]}
    ).write_parquet(tmp_path / "means.parquet")
    store = _import(tmp_path / "means.parquet", clips={"a": 1.0, "b": 1.0})
    assert store.read("b").values.tolist() == [[3.0, 4.0]]
    config = VIDEO.model_copy(update={"clip_column": "clip"})
    with pytest.raises(
        InputError, match=r"holds features of none of the 2 clips: the corpus has 'a', the source"
    ):
        _import(path, config, {"a": 1.0, "b": 1.0})
    with pytest.raises(InputError, match=r"lacks the column 'klip'; it has clip, twin"):
        _import(path, VIDEO.model_copy(update={"clip_column": "klip"}))
    with pytest.raises(
        InputError, match=r"has no column with clips of the corpus, such as 'q'; its columns are"
    ):
        _import(path, clips={"q": 1.0})
    path.write_text("clip,AU01_r\na,1\nb,\n")
    with pytest.raises(
        InputError, match=r"1 clips have no features .*\n  b: .*has no number in AU01_r: fill it"
    ):
        _import(path, clips={"a": 1.0, "b": 1.0})
    path.write_text("clip,AU01_r\na,1\na,2\n")
    with pytest.raises(InputError, match=r"clip 'a' is in rows 2 and 3; remove one"):
        _import(path, clips={"a": 1.0})


def test_clips_without_features(tmp_path: Path) -> None:
    source = _arrays(tmp_path / "s")
    clips: dict[str, float | None] = {"a": 2.0, "d": 1.0}
    with pytest.raises(
        InputError, match=r"1 clips have no features in .*at most 0 may lack them.*\n  d: not in"
    ):
        _import(source, clips=clips)
    store = _import(source, clips=clips, max_failures=1)
    assert store.clips == ("a",) and "not in" in store.failures["d"]
    with pytest.raises(
        InputError, match=r"features of none of the 1 clips: the corpus has 'q', the source 'a'"
    ):
        _import(source, clips={"q": 1.0})


def test_frames_without_a_face(tmp_path: Path) -> None:
    source = _folder(tmp_path / "s", {"a.csv": "\n".join([OPENFACE[0], OPENFACE[4]])})
    with pytest.raises(
        InputError, match=r"a: .*no frame that was tracked with confidence 0\.5 and holds numbers"
    ):
        _import(source, clips={"a": 1.0})
    empty = "\n".join(
        [OPENFACE[0], *(line.replace("10,", "nan,").replace("11,", ",") for line in OPENFACE[1:3])]
    )
    with pytest.raises(InputError, match=r"has no number in pose_Tx: leave these out through `columns`"):
        _import(_folder(tmp_path / "t", {"a.csv": empty}), clips={"a": 1.0})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"a\.csv is empty: expected a header and rows"),
        (b"AU01_r\n", r"a\.csv has no rows below its header"),
        (b"AU01_r\n1\n\xff\n", r"a\.csv, line 3: cannot be read as UTF-8"),
        (b"AU01_r,x\n1,2,3\n", r"a\.csv, line 2: 3 cells, expected 2"),
        (b"name,x\na,b\n", r"has no column of numbers that fits a feature"),
    ],
)
def test_wrong_tables(tmp_path: Path, content: bytes, sentence: str) -> None:
    source = tmp_path / "s"
    source.mkdir()
    (source / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        _import(source, clips={"a": 1.0})


def test_wrong_sources(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"nowhere does not exist: expected a folder of \.npy or \.csv files"
    ):
        _import(tmp_path / "nowhere")
    (tmp_path / "a.pkl").touch()
    with pytest.raises(InputError, match=r"a\.pkl is no source of features"):
        _import(tmp_path / "a.pkl")
    (tmp_path / "e").mkdir()
    with pytest.raises(InputError, match=r"e has neither \.npy nor \.csv files"):
        _import(tmp_path / "e")
    twice = _arrays(tmp_path / "t")
    (twice / "more").mkdir()
    np.save(twice / "more" / "a.npy", np.ones((2, 3)))
    with pytest.raises(InputError, match=r"are both features of 'a'; name a folder that holds one"):
        _import(twice)
    np.save(twice / "a.npy", np.ones((2, 9)))
    (twice / "more" / "a.npy").unlink()
    with pytest.raises(
        InputError, match=r"b: b has other columns than the first clip \(3 columns; 9 expected\)"
    ):
        _import(twice, clips={"a": 1.0, "b": 1.0})
    np.save(twice / "a.npy", np.array(["x"]))
    with pytest.raises(InputError, match=r"a: .*is an array of <U1 \(1,\): expected numbers \[time, dim\]"):
        _import(twice, clips={"a": 1.0})
    np.save(twice / "a.npy", np.full((2, 3), np.nan))
    with pytest.raises(InputError, match=r"a: .*has no step without NaN or infinite values"):
        _import(twice, clips={"a": 1.0})


def test_spellings_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y,z\n1,nan,text\nNaN,-nan(ind),\n,2,NA\n")
    table = read_numbers(path)
    assert table.columns == ("x", "y")
    np.testing.assert_array_equal(table.values, [[1, np.nan], [np.nan, np.nan], [np.nan, 2]])
