"""Which file an encoder is built with, what it is known by, and what is said when it is not there."""

import hashlib
from pathlib import Path

import pytest

from blended.data import InputError
from blended.encoders import encoder_config, identity_of
from blended.encoders.encoder import RANDOM
from blended.encoders.weights import (
    checksum,
    default_folder,
    forbid_random,
    found,
    resolve,
)

LARGE = encoder_config("wavlm-large")
CLIP = encoder_config("clip")
PLAIN = encoder_config("prosody")


def put(folder: Path, *parts: str, content: bytes = b"weights") -> Path:
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_folder_comes_from_the_environment():
    assert default_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/blended/weights")
    assert default_folder({"XDG_CACHE_HOME": "/c", "BLENDED_WEIGHTS": "/w"}) == Path("/w")
    assert default_folder({}) == Path.home() / ".cache/blended/weights"


def test_weights_are_found_where_fetch_puts_them(tmp_path: Path):
    assert found(LARGE, tmp_path) is None and found(PLAIN, tmp_path) is None
    path = put(tmp_path, "microsoft--wavlm-large", "pytorch_model.bin")
    assert found(LARGE, tmp_path) == path
    assert resolve([LARGE, PLAIN], tmp_path) == {"wavlm-large": path}


def test_encoders_that_share_a_file_share_its_place(tmp_path: Path):
    path = put(tmp_path, "imagebind", "imagebind_huge.pth")
    configs = [encoder_config(name) for name in ("imagebind-vision", "imagebind-audio")]
    assert resolve(configs, tmp_path) == {"imagebind-vision": path, "imagebind-audio": path}
    small, large = ({"name": "dinov2", "size": size} for size in ("small", "large"))
    put(tmp_path, "facebook--dinov2-small", "model.safetensors")
    assert found(encoder_config(small), tmp_path) and not found(encoder_config(large), tmp_path)


def test_a_repository_is_a_folder_with_its_config(tmp_path: Path):
    config = encoder_config("hf:google/siglip2-base-patch16-224")
    (tmp_path / "google--siglip2-base-patch16-224").mkdir()
    assert found(config, tmp_path) is None
    put(tmp_path, "google--siglip2-base-patch16-224", "config.json")
    assert found(config, tmp_path) == tmp_path / "google--siglip2-base-patch16-224"


def test_missing_weights_are_one_sentence_with_file_place_and_command(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        resolve([PLAIN, LARGE], tmp_path)
    place = tmp_path / "microsoft--wavlm-large" / "pytorch_model.bin"
    assert str(caught.value) == (
        f"encoder wavlm-large has no weights here (pytorch_model.bin; looked for {place}): get them with "
        f"`blended encoders fetch wavlm-large`, name yours with `--weights wavlm-large=FILE`, or ask for an "
        f"untrained network with `--random-weights`"
    )


def test_what_is_given_wins_over_random_and_that_over_the_folder(tmp_path: Path):
    put(tmp_path, "microsoft--wavlm-large", "pytorch_model.bin")
    mine = put(tmp_path, "mine.safetensors")
    assert resolve([LARGE], tmp_path, random=True) == {"wavlm-large": RANDOM}
    both = resolve([LARGE, CLIP], tmp_path, given={"clip": mine}, random=True)
    assert both == {"clip": mine, "wavlm-large": RANDOM}
    assert resolve([LARGE], tmp_path, given={"wavlm-large": RANDOM}) == {"wavlm-large": RANDOM}


def test_given_weights_have_to_fit(tmp_path: Path):
    with pytest.raises(
        InputError, match=r"weights given for clip are not there: .*gone.pth; correct the path"
    ):
        resolve([CLIP], tmp_path, given={"clip": tmp_path / "gone.pth"})
    with pytest.raises(InputError, match=r"unknown encoder with weights 'clp': did you mean 'clip'"):
        resolve([CLIP], tmp_path, given={"clp": tmp_path})
    with pytest.raises(InputError, match=r"weights were given for 'prosody', but no encoder here has any"):
        resolve([PLAIN], tmp_path, given={"prosody": tmp_path})


def test_identities_hold_the_checksum_of_the_file(tmp_path: Path):
    file = put(tmp_path, "a.safetensors", content=b"one")
    assert identity_of(LARGE, "corpus", file).weights == hashlib.sha256(b"one").hexdigest()
    assert identity_of(LARGE, "corpus", RANDOM).weights == "random"
    assert identity_of(PLAIN, "corpus").weights == "none"
    with pytest.raises(InputError, match="encoder wavlm-large has no weights here"):
        identity_of(LARGE, "corpus")
    with pytest.raises(InputError, match="gone are not there"):
        checksum(tmp_path / "gone")


def test_a_changed_file_has_another_checksum(tmp_path: Path):
    before = checksum(put(tmp_path, "a.bin", content=b"one"))
    assert checksum(put(tmp_path, "a.bin", content=b"other")) != before


def test_the_checksum_of_a_repository_is_that_of_what_decides(tmp_path: Path):
    folder = tmp_path / "repository"
    put(folder, "config.json")
    put(folder, "model.safetensors")
    before = checksum(folder)
    put(folder, "README.md")
    assert checksum(folder) == before
    put(folder, "preprocessor_config.json")
    assert checksum(folder) != before


def test_untrained_features_are_refused_unless_allowed():
    made = {"prosody": "none", "clip": "random", "wavlm-base": "random", "hubert-large": "ab12"}
    with pytest.raises(InputError, match=r"features of clip, wavlm-base were made by an untrained network"):
        forbid_random(made)
    with pytest.raises(InputError, match=r"features of clip were made .* --allow-random"):
        forbid_random(made, {"wavlm-base"})
    forbid_random(made, True)
    forbid_random(made, ["clip", "wavlm-base"])
    forbid_random({"prosody": "none"})
