"""The commands about encoders and their weights, as a user types them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blended.data.errors import InputError
from blended.data.store import FeatureStore
from blended.encoders import forbid_random, speech
from blended.encoders.networks.config import Architecture
from toys.clips import toy_corpus

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}

PARAMS = """\
corpus: demo
encoders:
  wavlm-base: {layers: 1-2}
recipes: {}
"""


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights."""
    monkeypatch.setenv("BLENDED_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("COLUMNS", "250")
    return tmp_path / "weights"


def test_the_list_says_where_weights_are_and_what_they_allow(blended: Callable[..., Any], weights: Path):
    place = weights / "microsoft--wavlm-large" / "pytorch_model.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    listed = blended("encoders", "list")
    assert listed.code == 0 and f"weights are looked for in {weights}" in listed.err.replace("\n", "")
    lines = {line.split("│")[1].strip(): line for line in listed.out.splitlines() if line.count("│") > 5}
    assert "CC-BY-NC-SA-4.0" in lines["imagebind-vision"] and "632.8 M" in lines["imagebind-vision"]
    assert lines["wavlm-large"].rstrip(" │").endswith("here")
    assert lines["wavlm-base"].rstrip(" │").endswith("fetch")
    assert lines["hicmae"].rstrip(" │").endswith("by hand")
    assert lines["prosody"].rstrip(" │").endswith("none")
    assert "audio-visual" in lines["hicmae"] and "2048" in lines["hicmae"] and "1408" in lines["videomae2"]
    assert {"timm:<model>", "hf:<owner>/<model>"} <= lines.keys()
    assert blended("features", "list").out == listed.out


def test_what_cannot_be_fetched_is_one_sentence(
    blended: Callable[..., Any], weights: Path, monkeypatch: pytest.MonkeyPatch
):
    by_hand = blended("encoders", "fetch", "hicmae")
    assert by_hand.code == 1 and "https://github.com/sunlicai/HiCMAE" in by_hand.err
    assert "has no weights, so there is nothing to fetch" in blended("encoders", "fetch", "prosody").err
    assert "--set model: expected NAME=VALUE" in blended("encoders", "fetch", "clip", "--set", "model").err
    assert "did you mean 'wavlm-base'" in blended("encoders", "fetch", "wavlm-bas").err


def test_missing_weights_are_told_before_anything_is_read(
    blended: Callable[..., Any], weights: Path, tmp_path: Path
):
    (tmp_path / "params.yaml").write_text(PARAMS)
    told = blended("features", "extract", "wavlm-base", "--root", tmp_path)
    assert told.code == 1
    assert "get them with `blended encoders fetch wavlm-base`" in told.err
    assert str(weights / "microsoft--wavlm-base" / "pytorch_model.bin") in told.err
    given = blended(
        "features", "extract", "wavlm-base", "--root", tmp_path, "--weights", "wavlm-base=gone.pth"
    )
    assert "the weights given for wavlm-base are not there: gone.pth" in given.err


def test_an_untrained_network_is_asked_for_and_stamped(
    blended: Callable[..., Any], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tiny = replace(speech.MODELS["wavlm-base"], architecture=Architecture("WavLM", 3, 16, True, 0, TINY))
    monkeypatch.setitem(speech.MODELS, "wavlm-base", tiny)
    (tmp_path / "params.yaml").write_text(PARAMS)
    toy_corpus(tmp_path / "data/corpora/demo", num_folds=2, test_actors=0)
    indexed = blended("data", "index", "--root", tmp_path, "--workers", "1")
    assert indexed.code == 0, indexed.err
    done = blended(
        "features", "extract", "wavlm-base", "--root", tmp_path, "--workers", "1", "--random-weights"
    )
    assert done.code == 0, done.err
    assert "wavlm-base: about" in done.err and "(2 layers x 16 columns x 50 per second" in done.err
    store = FeatureStore(tmp_path / "data/features/demo/wavlm-base")
    assert store.identity.weights == "random" and store.layers == ("1", "2") and len(store) == 20
    assert store.read(store.clips[0], "1").rate_hz == 50.0
    with pytest.raises(InputError, match="features of wavlm-base were made by an untrained network"):
        forbid_random({"wavlm-base": store.identity.weights})
