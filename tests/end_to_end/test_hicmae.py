"""HiCMAE as a user types it: pre-training, fine-tuning from it, new files, and frozen features."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from blended.data.index import read_index
from blended.encoders.networks.hicmae import config as sizes
from blended.fusion.hicmae.clips import prepared_clip
from blended.fusion.hicmae.gathering import gather_media
from blended.fusion.hicmae.sizes import backbone_of, preparation_of
from blended.studies.prediction import open_predictor
from toys.clips import toy_corpus

PARAMS = """\
corpus: demo
encoders:
  hicmae: {size: small}
weights: {hicmae: random}
recipes:
  tuned:
    fusion:
      {name: hicmae, size: demo, checkpoint: CHECKPOINT, training: {max_epochs: 1, batch_size: 32}}
  frozen:
    fusion: {name: early, features: [hicmae], training: {max_epochs: 2}}
"""


@pytest.fixture
def project(tmp_path: Path, blended: Callable[..., Any]) -> Path:
    """Three folds of ten clips, and ten to test on, indexed."""
    checkpoint = tmp_path / "pretrained.safetensors"
    (tmp_path / "params.yaml").write_text(PARAMS.replace("CHECKPOINT", str(checkpoint)))
    toy_corpus(tmp_path / "data/corpora/demo", num_folds=3)
    indexed = blended("data", "index", "--root", tmp_path, "--workers", "1")
    assert indexed.code == 0, indexed.err
    return tmp_path


@pytest.mark.slow
def test_from_unlabelled_clips_to_the_answer_for_a_new_file(
    blended: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    out = project / "pretrained.safetensors"
    made = blended("pretrain", "hicmae", "--out", out, "--epochs", "1", "--batch-size", "32")
    assert made.code == 0, made.err
    assert "learning from 40 unlabelled clips of all folds" in made.err.replace("\n", "")
    assert out.is_file() and not [*(project / "data/checkpoints").glob("*/training.safetensors")]
    trained = blended("train", "tuned")
    assert trained.code == 0, trained.err
    artifacts = project / "runs/demo/tuned/artifacts"
    record = json.loads((artifacts / "pipeline.json").read_text())
    assert "transductive: pre-trained on unlabelled clips of all folds" in record["protocol"]

    predictor = open_predictor(artifacts)
    stored = pl.read_parquet(artifacts / "test_predictions.parquet")
    row = stored.filter(pl.col("filename") == "test_0003")
    answer = predictor.predict(project / "data/corpora/demo/test/test_0003.mp4")
    expected = row.select(pl.col("^p_.*$")).to_numpy()[0]
    np.testing.assert_allclose(answer.whole.probabilities, expected, atol=1e-5)
    assert set(json.loads((artifacts / "without.json").read_text())) == {"audio", "video"}


@pytest.mark.slow
def test_frozen_features_train(
    blended: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an untrained, narrow network: that the recipe runs, not what it is worth."""
    narrow = sizes.BACKBONES["small"].model_copy(
        update={
            name: getattr(sizes.BACKBONES["small"], name).model_copy(
                update={"dim": 16, "num_heads": 2, "depth": 1}
            )
            for name in ("video", "audio")
        }
        | {"fusion_num_heads": 2, "fusion_depth": 1}
    )
    monkeypatch.setitem(sizes.BACKBONES, "small", narrow)
    monkeypatch.chdir(project)
    extracted = blended("features", "extract", "hicmae", "--workers", "1")
    assert extracted.code == 0, extracted.err
    trained = blended("train", "frozen")
    assert trained.code == 0, trained.err
    assert (project / "runs/demo/frozen/artifacts/final.safetensors").is_file()


def test_clips_are_prepared_once_and_given_in_any_order(project: Path) -> None:
    index = read_index(project / "data/index/demo.parquet")
    preparation, said = preparation_of(backbone_of("demo")), list[str]()
    clips = index.corpus.clips[7:3:-1]
    gather_media(index, index.corpus.clips, preparation, project / "cache", log=said.append)
    media = gather_media(index, clips, preparation, project / "cache", log=said.append)
    assert len(said) == 1 and said[0].startswith("preparing 40 clips in")
    assert media.num_clips == 4 and isinstance(media.pictures, np.memmap)
    one = prepared_clip(clips[1].path, preparation)
    np.testing.assert_array_equal(media.pictures[media.rows[1]], one.pictures)
    np.testing.assert_array_equal(media.sound[media.rows[1]], one.sound)
