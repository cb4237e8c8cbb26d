"""VideoMAE base: windows of 16 frames, learned by masked reconstruction and fine-tuned on Kinetics-400.

Tong et al. (2022), "VideoMAE: masked autoencoders are data-efficient learners for self-supervised video
pre-training", arXiv 2203.12602.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Frames
from blended.encoders.encoder import Modality, NetworkEncoder, Output
from blended.encoders.faces import Faces
from blended.encoders.preparing import Preparation
from blended.encoders.running import Precision, ready
from blended.encoders.weights import Source, check_weights, hub_file
from blended.encoders.windows_network import Windows, windows_encoder

PREPARATION = Preparation(size=224, shorter_side=224, interpolation="bilinear")
NUM_FRAMES = 16
NUM_CLASSES = 400
DIM = 768


class VideoMAEEncoderConfig(BaseModel):
    """The mean token of every window, normalised, before the classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = "CC-BY-NC-4.0"

    name: Literal["videomae"] = "videomae"
    frame_rate_hz: float = Field(default=12.5, gt=0, le=60)
    """Frames per second that are looked at; it was trained on every fourth of 25 to 30."""
    stride_frames: int = Field(default=8, ge=1)
    """From the start of one window to that of the next."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

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

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError without weights and for those of another network."""
        file = check_weights(self, weights)
        from torch import nn
        from transformers import VideoMAEConfig, VideoMAEForVideoClassification

        from blended.encoders.hub_models import built

        fields: dict[str, Any] = {"num_labels": NUM_CLASSES}
        config = VideoMAEConfig(**fields)
        network: Any = built(VideoMAEForVideoClassification, config, file)
        network.classifier = nn.Identity()
        network = ready(network, device)
        return windows_encoder(
            network,
            lambda windows: network(windows).logits,
            PREPARATION,
            self.windows,
            dim=DIM,
            faces=self.faces,
            precision=self.precision,
            device=device,
        )
