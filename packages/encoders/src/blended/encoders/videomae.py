"""VideoMAE base: windows of 16 frames, learned by masked reconstruction and fine-tuned on Kinetics-400.

Tong et al. (2022), "VideoMAE: masked autoencoders are data-efficient learners for self-supervised video
pre-training", arXiv 2203.12602.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from blended.encoders.encoder import Output
from blended.encoders.pictures import PictureNetwork, Preparation, Windows, WindowsConfig
from blended.encoders.weights import Source, hub_file

PREPARATION = Preparation(size=224, shorter_side=224, interpolation="bilinear")
NUM_FRAMES = 16
NUM_CLASSES = 400
DIM = 768


class VideoMAEEncoderConfig(WindowsConfig, frozen=True):
    """The mean token of every window, normalised, before the classifier."""

    licence: ClassVar[str] = "CC-BY-NC-4.0"

    name: Literal["videomae"] = "videomae"
    frame_rate_hz: float = Field(default=12.5, gt=0, le=60)
    """Frames per second that are looked at; it was trained on every fourth of 25 to 30."""
    stride_frames: int = Field(default=8, ge=1)
    """From the start of one window to that of the next."""

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return hub_file("MCG-NJU/videomae-base-finetuned-kinetics", "pytorch_model.bin")

    @property
    def windows(self) -> Windows:
        """How a clip is cut."""
        return Windows(self.frame_rate_hz, NUM_FRAMES, self.stride_frames)

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(DIM, self.windows.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the network without its classifier."""
        return 86_227_200

    def load(self, weights: Path) -> PictureNetwork:
        """The network; raises InputError for weights of another."""
        from torch import nn
        from transformers import VideoMAEConfig, VideoMAEForVideoClassification

        from blended.encoders.networks.checkpoint import built

        fields: dict[str, Any] = {"num_labels": NUM_CLASSES}
        network: Any = built(VideoMAEForVideoClassification, VideoMAEConfig(**fields), weights)
        network.classifier = nn.Identity()
        return PictureNetwork(network, lambda windows: network(windows).logits, PREPARATION, DIM)
