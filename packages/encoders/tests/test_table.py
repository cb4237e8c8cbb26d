"""Names, settings and what every encoder promises."""

import json
import subprocess
import sys

import pytest

from blended.data import InputError
from blended.encoders import ENCODERS, encoder_config, identity_of
from blended.encoders.logmel import LogMelConfig


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_chosen_by_its_name(name: str):
    config = encoder_config(name)
    assert config.name == name and config == encoder_config({"name": name})
    assert config.modality in ("audio", "video", "audio-visual") and config.licence
    hash(config)


@pytest.mark.parametrize("name", [name for name, kind in ENCODERS.items() if not kind.weighted])
def test_encoders_without_weights_are_built_from_their_name(name: str):
    if name == "egemaps":
        pytest.importorskip("opensmile")
    encoder = encoder_config(name).build()
    assert encoder.dim > 0 and encoder.layers == ("output",) and encoder.dtype in ("float16", "float32")


@pytest.mark.parametrize(
    ("spoken", "kept", "modality"),
    [
        ("timm:resnet50", "timm--resnet50", "video"),
        ("hf:google/siglip2-base-patch16-224", "hf--google--siglip2-base-patch16-224", "video"),
        ("hf:facebook/vjepa2-vitl-fpc64-256", "hf--facebook--vjepa2-vitl-fpc64-256", "video"),
        ("hf:facebook/pe-av-large", "hf--facebook--pe-av-large", "audio-visual"),
        (
            "hf:MIT/ast-finetuned-audioset-10-10-0.4593",
            "hf--MIT--ast-finetuned-audioset-10-10-0.4593",
            "audio",
        ),
    ],
)
def test_any_model_has_a_name_that_is_safe_on_disk(spoken: str, kept: str, modality: str):
    config = encoder_config(spoken)
    assert (config.name, config.modality) == (kept, modality)
    assert encoder_config(kept) == config
    assert encoder_config(json.loads(config.model_dump_json())) == config


def test_what_a_model_perceives_has_to_be_known_or_stated():
    with pytest.raises(
        InputError, match=r"hf:me/mystery is of no family known by name: add `kind:`, one of aud"
    ):
        encoder_config("hf:me/mystery")
    assert encoder_config({"name": "hf:me/mystery", "kind": "audio"}).modality == "audio"
    with pytest.raises(InputError, match="unknown kind of model 'audi': did you mean 'audio'"):
        encoder_config({"name": "hf:me/mystery", "kind": "audi"})


def test_equal_choices_of_layers_are_one_identity():
    last = {"name": "wavlm-base", "layers": 12}
    assert encoder_config(last) == encoder_config("wavlm-base") == encoder_config({**last, "layers": "12-12"})
    assert '"layers":"0-12"' in encoder_config({**last, "layers": "all"}).model_dump_json()
    with pytest.raises(
        InputError, match=r"so: layers 13: expected one layer \(9\), a range .* between 0 and 12"
    ):
        encoder_config({**last, "layers": 13})


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(InputError, match="unknown encoder 'logmell': did you mean 'logmel'"):
        encoder_config("logmell")
    with pytest.raises(InputError, match="an encoder is chosen by its name"):
        encoder_config({"num_bins": 64})


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match=r"'logmel' cannot be configured so: bins: Extra inputs .* got 64"):
        encoder_config({"name": "logmel", "bins": 64})
    with pytest.raises(InputError, match=r"num_bins: .* less than or equal to 128, got 1000"):
        encoder_config({"name": "logmel", "num_bins": 1000})


def test_the_identity_holds_the_whole_config():
    identity = identity_of(LogMelConfig(num_bins=80), "corpus-1")
    assert identity.encoder == '{"name": "logmel", "num_bins": 80}'
    assert (identity.weights, identity.corpus) == ("none", "corpus-1")


def test_importing_loads_no_network_library():
    heavy = ("torch", "torchaudio", "torchvision", "transformers", "timm", "opensmile", "requests")
    code = f"import sys, blended.encoders; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
