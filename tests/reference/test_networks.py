"""Our networks give the outputs of the official ones, for every fixture in `models/` of the reference folder.

A fixture holds the parameters under `state.<official name>`, inputs, outputs, and in its metadata the
arguments of the official constructor. The network is chosen by the beginning of the file name.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from blended.encoders.networks.checkpoint import load_state, read_state
from blended.encoders.networks.hicmae.network import HiCMAEClassifier
from blended.encoders.networks.hicmae.pretrain import HiCMAEAutoencoder
from blended.encoders.networks.imagebind import ImageBind
from blended.encoders.networks.videomae2 import VideoMAEv2
from toys.official_networks import (
    finetune_config,
    imagebind_config,
    pretrain_config,
    read_arguments,
    videomae2_config,
)

TOLERANCE = 1e-5
"""Largest absolute difference to the official output, float32."""

REPOSITORY = Path(__file__).parents[2]
REFERENCE = Path(os.environ.get("BLENDED_REFERENCE", REPOSITORY / "../shared/reference"))
FIXTURES = sorted((REFERENCE / "models").glob("*.safetensors"))

Tensors = dict[str, Tensor]
Builder = Callable[[dict[str, object], str], nn.Module]


def hicmae_finetune(network: nn.Module, given: Tensors) -> Tensors:
    assert isinstance(network, HiCMAEClassifier)
    features = network.features(given["video"], given["audio"])
    return {"features": features, "logits": network.logits(features)}


def hicmae_pretrain(network: nn.Module, given: Tensors) -> Tensors:
    assert isinstance(network, HiCMAEAutoencoder)
    output = network(given["video"], given["audio"], given["mask_video"].bool(), given["mask_audio"].bool())
    per_video = {f"logits_per_video.{k}": logits for k, logits in enumerate(output.logits_per_video)}
    per_audio = {f"logits_per_audio.{k}": logits.T for k, logits in enumerate(output.logits_per_video)}
    return {"pred_video": output.video, "pred_audio": output.audio, **per_video, **per_audio}


def imagebind(network: nn.Module, given: Tensors) -> Tensors:
    assert isinstance(network, ImageBind)
    embed = {"image": network.vision, "clip": network.vision, "audio": network.audio}
    return {f"{name}_embedding": embed[name](given[name]) for name in embed if name in given}


def videomaev2(network: nn.Module, given: Tensors) -> Tensors:
    assert isinstance(network, VideoMAEv2)
    features = network.features(given["video"])
    return {"features": features, "logits": network.logits(features)}


NETWORKS: dict[str, tuple[Builder, Callable[[nn.Module, Tensors], Tensors]]] = {
    "hicmae_finetune": (lambda a, s: HiCMAEClassifier(finetune_config(a, s)), hicmae_finetune),
    "hicmae_pretrain": (lambda a, s: HiCMAEAutoencoder(pretrain_config(a, s)), hicmae_pretrain),
    "imagebind": (lambda a, s: ImageBind(imagebind_config(a, s)), imagebind),
    "videomaev2": (lambda a, s: VideoMAEv2(videomae2_config(a, s)), videomaev2),
}

INPUTS = {"video", "audio", "image", "clip", "mask_video", "mask_audio"}


def test_fixtures_are_there() -> None:
    if not FIXTURES:
        pytest.skip(f"no models/*.safetensors in {REFERENCE}: set BLENDED_REFERENCE to the reference folder")


@pytest.mark.parametrize("path", FIXTURES, ids=[path.stem for path in FIXTURES])
def test_outputs_agree(path: Path, record_property: Callable[[str, object], None]) -> None:
    name = next((name for name in NETWORKS if path.stem.startswith(f"{name}_")), None)
    if name is None:
        pytest.fail(
            f"{path.name} is of no known network; its name must begin with one of {sorted(NETWORKS)} and _"
        )
    build, run = NETWORKS[name]
    network = build(read_arguments(path), path.name).eval()
    loaded = load_state(network, read_state(path, prefix="state."), path.name)
    assert not loaded.new
    assert not loaded.ignored

    content = {name: value for name, value in load_file(path).items() if not name.startswith("state.")}
    with torch.inference_mode():
        ours = run(network, content)
    expected = {name: value for name, value in content.items() if name not in INPUTS}
    assert expected, f"{path.name} holds no outputs"
    if unknown := sorted(set(expected) - set(ours)):
        warnings.warn(f"{path.name}: {', '.join(unknown)} are not outputs that this test knows", stacklevel=1)
    compared = sorted(set(expected) & set(ours))
    assert compared, f"{path.name} holds none of the outputs {sorted(ours)}"
    for output in compared:
        assert ours[output].shape == expected[output].shape, output
        difference = (ours[output] - expected[output]).abs().max().item()
        record_property(f"{path.stem}.{output}", difference)
        assert difference <= TOLERANCE, f"{path.name}: {output} differs by {difference:.1e}"
