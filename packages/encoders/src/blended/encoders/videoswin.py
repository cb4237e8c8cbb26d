"""Video Swin base: windows of 32 frames, learned on Kinetics-400 (torchvision's `swin3d_b`).

Liu et al. (2022), "Video Swin transformer", arXiv 2106.13230.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Frames
from blended.encoders.encoder import RANDOM, Modality, NetworkEncoder, Output
from blended.encoders.faces import Faces
from blended.encoders.preparing import Preparation
from blended.encoders.running import Precision, ready, seeded
from blended.encoders.weights import Source, check_weights
from blended.encoders.windows_network import Windows, windows_encoder

if TYPE_CHECKING:
    from torch import nn

PREPARATION = Preparation(
    size=224, shorter_side=256, interpolation="bilinear", antialias=False, centre="nearest"
)
NUM_FRAMES = 32
DIM = 1024

SOURCE = Source(
    page="https://pytorch.org/vision/stable/models/video_swin_transformer.html",
    folder="videoswin",
    url="https://download.pytorch.org/models/swin3d_b_1k-24f7c7c6.pth",
    sha256="24f7c7c6",
)


class VideoSwinConfig(BaseModel):
    """The mean of every window's features, before the classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = "BSD-3-Clause (torchvision; weights ported from Apache-2.0)"

    name: Literal["videoswin"] = "videoswin"
    frame_rate_hz: float = Field(default=25.0, gt=0, le=60)
    """Frames per second that are looked at."""
    stride_frames: int = Field(default=16, ge=1)
    """From the start of one window to that of the next; 16 in the BLEMORE baseline."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCE

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
        return 87_638_984

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError without weights and for those of another network."""
        network: Any = ready(_network(check_weights(self, weights)), device)
        return windows_encoder(
            network,
            lambda windows: network(windows.transpose(1, 2)),
            PREPARATION,
            self.windows,
            dim=DIM,
            faces=self.faces,
            precision=self.precision,
            device=device,
        )


def _network(weights: Path) -> "nn.Module":
    from torch import nn
    from torchvision.models.video import swin3d_b

    from blended.encoders.networks.checkpoint import load_state, read_state

    with seeded():
        network: Any = swin3d_b(weights=None)
    network.head = nn.Identity()
    if weights != RANDOM:
        load_state(network, read_state(weights), str(weights), ignored=("head.",))
    return network
