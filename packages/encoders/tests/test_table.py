"""Names, settings and what every encoder promises."""

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
    assert config.modality in ("audio", "video") and config.licence and not config.weighted
    hash(config)
    if name == "egemaps":
        pytest.importorskip("opensmile")
    encoder = config.build()
    assert encoder.dim > 0 and encoder.layers == ("output",) and encoder.dtype in ("float16", "float32")


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
    heavy = ("torch", "torchaudio", "opensmile")
    code = f"import sys, blended.encoders; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
