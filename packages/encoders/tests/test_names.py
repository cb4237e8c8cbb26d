"""Which layers are stored, which are pooled, and what a recipe writes."""

import pytest

from blended.data import InputError
from blended.encoders import encoder_config
from blended.encoders.encoder import Output
from blended.encoders.names import (
    FeatureReference,
    canonical,
    chosen_layers,
    layer_range,
    parse_feature_reference,
)
from blended.encoders.table import expected_bytes, size_in_words


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("last", ("4",)),
        ("all", ("0", "1", "2", "3", "4")),
        (2, ("2",)),
        ("0", ("0",)),
        ("1-3", ("1", "2", "3")),
    ],
)
def test_layers_of_a_network_of_four_blocks(text: str | int, layers: tuple[str, ...]):
    assert layer_range(text, 4) == layers
    assert layer_range(canonical(layers), 4) == layers


@pytest.mark.parametrize("text", ["5", "3-5", "3-2", "-1", "first", "1,2", ""])
def test_layers_that_do_not_exist(text: str):
    with pytest.raises(
        InputError, match=r"expected one layer \(9\), a range \(6-12\), last or all, between 0 and 4"
    ):
        layer_range(text, 4)


def test_feature_references():
    assert parse_feature_reference("clip") == FeatureReference("clip", None)
    assert parse_feature_reference("wavlm-large@9") == FeatureReference("wavlm-large", "9")
    assert parse_feature_reference("hf--a--b@all").chosen(["0", "1"]) == ("0", "1")
    for wrong in ("@9", "wavlm@", "a@1@2", ""):
        with pytest.raises(
            InputError, match="expected a name, or a name and its layers such as wavlm-large@9"
        ):
            parse_feature_reference(wrong)


def test_layers_are_chosen_among_those_that_are_stored():
    stored = ("6", "7", "8", "12")
    assert chosen_layers(None, stored) == ("12",)
    assert chosen_layers("7", stored) == ("7",)
    assert chosen_layers("6-8", stored) == ("6", "7", "8")
    assert chosen_layers("output", ("output",)) == ("output",)
    with pytest.raises(
        InputError, match=r"layers 8-9 were asked for, but 9 is not stored; there are 6, 7, 8, 12"
    ):
        chosen_layers("8-9", stored)
    with pytest.raises(InputError, match="unknown layer '9'"):
        chosen_layers("9", stored)
    with pytest.raises(InputError, match="expected the lower one first"):
        chosen_layers("8-6", stored)


def test_all_layers_of_a_large_network_for_the_whole_of_blemore():
    """The issue: tens of gigabytes."""
    config = encoder_config({"name": "wavlm-large", "layers": "all"})
    seconds = [5.0] * 3050
    words = size_in_words(config, seconds)
    assert words == (
        "wavlm-large: about 39.0 GB on disk (25 layers x 1024 columns x 50 per second, 4.24 hours, float16)"
    )
    assert size_in_words(encoder_config("prosody"), seconds) == ""
    assert expected_bytes(Output(10, 0.0, dtype="float32"), [1.0, 2.0]) == 80
