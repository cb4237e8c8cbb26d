"""VideoMAEv2: windows of 16 frames, learned by masked reconstruction and fine-tuned on Kinetics-710.

Wang et al. (2023), "VideoMAE V2: scaling video masked autoencoders with dual masking", arXiv 2303.16727.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Frames
from blended.encoders.encoder import RANDOM, Modality, NetworkEncoder, Output
from blended.encoders.faces import Faces
from blended.encoders.networks.config import VideoMAEv2Config, videomae2_config_of_size
from blended.encoders.preparing import Preparation
from blended.encoders.running import Precision, ready, seeded
from blended.encoders.weights import Source, check_weights, hub_file
from blended.encoders.windows_network import Windows, windows_encoder

if TYPE_CHECKING:
    from blended.encoders.networks.videomae2 import VideoMAEv2

PREPARATIONS = {
    "standard": Preparation(size=224, shorter_side=224, interpolation="bilinear"),
    "blemore-official": Preparation(
        size=224,
        shorter_side=None,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation="bilinear",
        antialias=False,
        order="bgr",
    ),
}

SOURCES = {
    "giant": hub_file("OpenGVLab/VideoMAE2", "mae-g/vit_g_hybrid_pt_1200e_k710_ft.pth"),
    "base": hub_file("OpenGVLab/VideoMAE2", "distill/vit_b_k710_dl_from_giant.pth"),
}
NUM_PARAMETERS = {"giant": 1_011_610_752, "base": 86_227_200}


class VideoMAEv2EncoderConfig(BaseModel):
    """The mean token of every window, normalised, before the classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = "MIT"

    name: Literal["videomae2"] = "videomae2"
    size: Literal["giant", "base"] = "giant"
    """Patches of 14 pixels and 1408 columns, or 16 and 768."""
    preprocess: Literal["standard", "blemore-official"] = "standard"
    """`blemore-official` repeats the organisers' extraction: blue first, divided by 255 without mean and
    deviation, stretched to a square, the last window filled up with black."""
    frame_rate_hz: float = Field(default=25.0, gt=0, le=60)
    """Frames per second that are looked at."""
    stride_frames: int = Field(default=16, ge=1)
    """From the start of one window to that of the next; `blemore-official` is without overlap."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCES[self.size]

    @property
    def network(self) -> VideoMAEv2Config:
        """The published network."""
        return videomae2_config_of_size(self.size)

    @property
    def windows(self) -> Windows:
        """How a clip is cut."""
        padding = "zeros" if self.preprocess == "blemore-official" else "repeat"
        return Windows(self.frame_rate_hz, self.network.num_frames, self.stride_frames, padding)

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(self.network.embed_dim, self.windows.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the network without its classifier."""
        return NUM_PARAMETERS[self.size]

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError without weights and for those of another network."""
        network: Any = ready(_network(self.network, check_weights(self, weights)), device)
        return windows_encoder(
            network,
            lambda windows: network(windows.transpose(1, 2)),
            PREPARATIONS[self.preprocess],
            self.windows,
            dim=self.output.dim,
            faces=self.faces,
            precision=self.precision,
            device=device,
        )


def _network(config: VideoMAEv2Config, weights: Path) -> "VideoMAEv2":
    """Without a head its logits are its features."""
    from blended.encoders.networks.checkpoint import load_state, read_state
    from blended.encoders.networks.videomae2 import VideoMAEv2

    with seeded():
        network = VideoMAEv2(config)
    if weights != RANDOM:
        load_state(network, read_state(weights), str(weights), ignored=("head.",))
    return network
