"""Video Swin base: windows of 32 frames, learned on Kinetics-400 (torchvision's `swin3d_b`).

Liu et al. (2022), "Video Swin transformer", arXiv 2106.13230.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from blended.encoders.device import seeded
from blended.encoders.encoder import RANDOM, Output
from blended.encoders.pictures import PictureNetwork, Preparation, Windows, WindowsConfig
from blended.encoders.weights import Source

if TYPE_CHECKING:
    pass

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


class VideoSwinConfig(WindowsConfig, frozen=True):
    """The mean of every window's features, before the classifier."""

    licence: ClassVar[str] = "BSD-3-Clause (torchvision; weights ported from Apache-2.0)"

    name: Literal["videoswin"] = "videoswin"

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCE

    @property
    def windows(self) -> Windows:
        """How a clip is cut; every 16 frames, unless told otherwise, as in the BLEMORE baseline."""
        return Windows(self.frame_rate_hz, NUM_FRAMES, self.stride_frames)

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(DIM, self.windows.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the network without its classifier."""
        return 87_638_984

    def load(self, weights: Path) -> PictureNetwork:
        """The network; raises InputError for weights of another."""
        from torch import nn
        from torchvision.models.video import swin3d_b

        from blended.encoders.networks.checkpoint import load_state, read_state

        with seeded():
            network: Any = swin3d_b(weights=None)
        network.head = nn.Identity()
        if weights != RANDOM:
            load_state(network, read_state(weights), str(weights), ignored=("head.",))
        return PictureNetwork(network, lambda windows: network(windows.transpose(1, 2)), PREPARATION, DIM)
