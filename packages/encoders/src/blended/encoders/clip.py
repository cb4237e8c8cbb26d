"""CLIP: pictures, learned from the texts beside them.

Radford et al. (2021), "Learning transferable visual models from natural language supervision",
arXiv 2103.00020. The BLEMORE baseline takes ViT-B/32 on every frame.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from blended.encoders.encoder import Output
from blended.encoders.pictures import CLIP_MEAN, CLIP_STD, FramesConfig, PictureNetwork, Preparation
from blended.encoders.weights import Source, hub_file

PREPARATION = Preparation(224, 224, CLIP_MEAN, CLIP_STD)

FIELDS: Mapping[str, Mapping[str, Any]] = {
    "ViT-B/32": {},
    "ViT-L/14": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "projection_dim": 768,
    },
}
"""What differs from the defaults of transformers' `CLIPVisionConfig`."""

DIMS = {"ViT-B/32": 512, "ViT-L/14": 768}
NUM_PARAMETERS = {"ViT-B/32": 87_849_216, "ViT-L/14": 303_966_208}
SOURCES = {
    "ViT-B/32": hub_file("openai/clip-vit-base-patch32", "pytorch_model.bin"),
    "ViT-L/14": hub_file("openai/clip-vit-large-patch14", "model.safetensors"),
}


class CLIPConfig(FramesConfig, frozen=True):
    """The projected embedding of every picture, as it is (not scaled to unit length)."""

    licence: ClassVar[str] = "MIT"

    name: Literal["clip"] = "clip"
    model: Literal["ViT-B/32", "ViT-L/14"] = "ViT-B/32"

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCES[self.model]

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(DIMS[self.model], self.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the vision tower and its projection."""
        return NUM_PARAMETERS[self.model]

    def load(self, weights: Path) -> PictureNetwork:
        """The vision tower with its projection; raises InputError for weights of another network."""
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        from blended.encoders.networks.checkpoint import built

        config = CLIPVisionConfig(**FIELDS[self.model])
        network: Any = built(CLIPVisionModelWithProjection, config, weights)
        return PictureNetwork(
            network, lambda pixels: network(pixels).image_embeds, PREPARATION, self.output.dim
        )
