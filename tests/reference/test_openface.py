"""OpenFace as it is in the wild: every real CSV, and the columns of a real OpenFace 2 file."""

from pathlib import Path

import numpy as np
import pytest

from blended.data.foreign import ImportedConfig, import_features
from blended.data.store import FeatureStore

CONFIG = ImportedConfig(name="openface", modality="video")


def _features(
    source: Path, out: Path, clip: str, seconds: float = 4.0
) -> tuple[FeatureStore, tuple[str, ...]]:
    done = import_features(source, out, CONFIG, {clip: seconds}, corpus_hash="c", log=lambda text: None)
    return FeatureStore(done.store), done.columns


def test_real_files(reference: Path, tmp_path: Path) -> None:
    files = sorted((reference / "openface").glob("*.csv"))
    if not files:
        pytest.skip(f"no CSV in {reference / 'openface'}")
    for path in files:
        source = tmp_path / path.stem / "source"
        source.mkdir(parents=True)
        (source / path.name).write_bytes(path.read_bytes())
        store, columns = _features(source, tmp_path / path.stem, path.stem)
        units = [name for name in columns if name.startswith("AU")]
        assert len(units) == 17 and all(name.endswith("_r") for name in units), path
        assert [name for name in columns if name.startswith("pose_")] == [
            f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"
        ], path
        values = store.read(path.stem).values
        assert len(values) > 0.5 * (len(path.read_text().splitlines()) - 1), path
        assert 0 <= values[:, [columns.index(name) for name in units]].max() <= 5, path


@pytest.mark.parametrize("as_pandas", [False, True])
def test_the_columns_of_openface_2(reference: Path, tmp_path: Path, as_pandas: bool) -> None:
    listed = reference / "openface" / "openface2_columns.txt"
    if not listed.is_file():
        pytest.skip(f"{listed} is not there")
    names = listed.read_text().split()
    values = np.round(np.random.default_rng(0).random((50, len(names))), 3)
    at = {name: place for place, name in enumerate(names)}
    values[:, at["frame"]], values[:, at["timestamp"]] = np.arange(1, 51), np.arange(50) / 30
    values[:, at["success"]], values[:, at["confidence"]], values[:, at["face_id"]] = 1, 0.98, 0
    values[10:20, at["success"]] = 0
    values[30:33, at["confidence"]] = 0.1
    values[40, at["AU12_r"]] = np.nan
    separator = "," if as_pandas else ", "
    lines = [separator.join(names), *(separator.join(f"{x:g}" for x in row) for row in values)]
    if as_pandas:
        lines = [f"{'' if number < 0 else number},{line}" for number, line in enumerate(lines, start=-1)]
    source = tmp_path / "source"
    source.mkdir()
    (source / "clip.csv").write_text("\n".join(lines))
    store, columns = _features(source, tmp_path, "clip")
    # 17 intensities, 6 of the pose, 8 of the gaze, as in the official baseline.
    assert (len(columns), sum(name.startswith("gaze") for name in columns)) == (31, 8)
    features = store.read("clip")
    kept = [row for row in range(50) if not 10 <= row < 20 and not 30 <= row < 33 and row != 40]
    np.testing.assert_allclose(
        features.values, values[np.ix_(kept, [at[name] for name in columns])], rtol=1e-6
    )
    assert features.rate_hz == pytest.approx(30, rel=1e-3)
