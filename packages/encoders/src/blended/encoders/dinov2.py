"""DINOv2: pictures, learned without labels or texts.

Oquab et al. (2023), "DINOv2: learning robust visual features without supervision", arXiv 2304.07193.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from blended.encoders.encoder import Output
from blended.encoders.pictures import FramesConfig, PictureNetwork, Preparation
from blended.encoders.weights import Source, hub_file

Size = Literal["small", "base", "large", "giant"]

PREPARATION = Preparation(size=224, shorter_side=256)

FIELDS: Mapping[str, Mapping[str, Any]] = {
    "small": {"hidden_size": 384, "num_attention_heads": 6},
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "giant": {
        "hidden_size": 1536,
        "num_hidden_layers": 40,
        "num_attention_heads": 24,
        "use_swiglu_ffn": True,
    },
}
"""What differs from the defaults of transformers' `Dinov2Config`."""

TRAINED_SIZE = 518
"""Pixels that the learned positions are for; they are interpolated to the 224 that are used."""

DIMS = {"small": 384, "base": 768, "large": 1024, "giant": 1536}
NUM_PARAMETERS = {"small": 22_056_576, "base": 86_580_480, "large": 304_368_640, "giant": 1_136_480_768}


class DINOv2Config(FramesConfig, frozen=True):
    """The normalised class token of every picture."""

    licence: ClassVar[str] = "Apache-2.0"

    name: Literal["dinov2"] = "dinov2"
    size: Size = "base"

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return hub_file(f"facebook/dinov2-{self.size}", "model.safetensors")

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(DIMS[self.size], self.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the network."""
        return NUM_PARAMETERS[self.size]

    def load(self, weights: Path) -> PictureNetwork:
        """The network; raises InputError for weights of another."""
        from transformers import Dinov2Config, Dinov2Model

        from blended.encoders.networks.checkpoint import built

        config = Dinov2Config(image_size=TRAINED_SIZE, patch_size=14, **FIELDS[self.size])
        network: Any = built(Dinov2Model, config, weights)
        return PictureNetwork(
            network, lambda pixels: network(pixels).pooler_output, PREPARATION, self.output.dim
        )
