"""VideoMAEv2: windows of 16 frames, learned by masked reconstruction and fine-tuned on Kinetics-710.

Wang et al. (2023), "VideoMAE V2: scaling video masked autoencoders with dual masking", arXiv 2303.16727.
"""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from blended.encoders.device import seeded
from blended.encoders.encoder import RANDOM, Output
from blended.encoders.networks.config import VIDEOMAE2_SIZES, VideoMAEv2Config
from blended.encoders.pictures import PictureNetwork, Preparation, Windows, WindowsConfig
from blended.encoders.weights import Source, hub_file

if TYPE_CHECKING:
    pass

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


class VideoMAEv2EncoderConfig(WindowsConfig, frozen=True):
    """The mean token of every window, normalised, before the classifier."""

    licence: ClassVar[str] = "MIT"

    name: Literal["videomae2"] = "videomae2"
    size: Literal["giant", "base"] = "giant"
    """Patches of 14 pixels and 1408 columns, or 16 and 768."""
    preprocess: Literal["standard", "blemore-official"] = "standard"
    """`blemore-official` repeats the organisers' extraction: blue first, divided by 255 without mean and
    deviation, stretched to a square, the last window filled up with black, no overlap."""

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCES[self.size]

    @property
    def network(self) -> VideoMAEv2Config:
        """The published network."""
        return VIDEOMAE2_SIZES[self.size]

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

    def load(self, weights: Path) -> PictureNetwork:
        """The network, whose logits without a head are its features; raises InputError for other weights."""
        from blended.encoders.networks.checkpoint import load_state, read_state
        from blended.encoders.networks.videomae2 import VideoMAEv2

        with seeded():
            network = VideoMAEv2(self.network)
        if weights != RANDOM:
            load_state(network, read_state(weights), str(weights), ignored=("head.",))
        return PictureNetwork(
            network,
            lambda windows: network(windows.transpose(1, 2)),
            PREPARATIONS[self.preprocess],
            self.output.dim,
        )
