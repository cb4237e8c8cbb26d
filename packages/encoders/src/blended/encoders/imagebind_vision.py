"""ImageBind huge, pictures: an embedding that pictures share with sounds.

Girdhar et al. (2023), "ImageBind: one embedding space to bind them all", arXiv 2305.05665. The BLEMORE
baseline encodes frame by frame.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Frames
from blended.encoders.encoder import RANDOM, Modality, NetworkEncoder, Output
from blended.encoders.faces import Faces
from blended.encoders.frames_network import frames_encoder
from blended.encoders.networks.config import ImageBindConfig
from blended.encoders.preparing import CLIP_MEAN, CLIP_STD, Preparation
from blended.encoders.running import Precision, ready, seeded
from blended.encoders.weights import Source, check_weights

if TYPE_CHECKING:
    from blended.encoders.networks.imagebind import ImageBind

LICENCE = "CC-BY-NC-SA-4.0: no commercial use, share alike"
SOURCE = Source(
    page="https://github.com/facebookresearch/ImageBind",
    folder="imagebind",
    url="https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth",
)
DIM = 1024
PREPARATION = Preparation(224, 224, CLIP_MEAN, CLIP_STD)


class ImageBindVisionConfig(BaseModel):
    """The embedding of every picture, of length 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = LICENCE

    name: Literal["imagebind-vision"] = "imagebind-vision"
    rate_hz: float = Field(default=5.0, gt=0, le=60)
    """Pictures per second."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return SOURCE

    @property
    def output(self) -> Output:
        """What the features look like."""
        return Output(DIM, self.rate_hz)

    @property
    def num_parameters(self) -> int:
        """Of the vision trunk, its tokens and its head."""
        return 632_829_440

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError without weights and for those of another network."""
        network: Any = one_sense("vision", check_weights(self, weights))
        network = ready(network, device)
        return frames_encoder(
            network,
            network.vision,
            PREPARATION,
            rate_hz=self.rate_hz,
            dim=DIM,
            faces=self.faces,
            precision=self.precision,
            device=device,
        )


def one_sense(kept: Literal["vision", "audio"], weights: Path) -> "ImageBind":
    """ImageBind huge with one of its two trunks, which halves what is loaded; raises InputError."""
    from blended.encoders.networks.checkpoint import load_state, read_state
    from blended.encoders.networks.imagebind import NOT_BUILT, ImageBind

    dropped = "audio" if kept == "vision" else "vision"
    with seeded():
        network = ImageBind(ImageBindConfig.model_validate({f"{dropped}_num_blocks": 0}))
    parts = ("preprocessors", "trunks", "heads", "postprocessors")
    for part in parts:
        del getattr(network, f"modality_{part}")[dropped]
    if weights != RANDOM:
        absent = tuple(f"modality_{part}.{dropped}." for part in parts)
        load_state(network, read_state(weights), str(weights), ignored=(*NOT_BUILT, *absent))
    return network
