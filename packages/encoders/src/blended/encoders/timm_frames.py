"""Any picture network of timm: ResNets, EfficientNets, vision transformers, ...

Wightman (2019), "PyTorch image models", https://github.com/huggingface/pytorch-image-models. ResNet-50 on
frames is the published baseline for reaction intensities.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from blended.data.errors import InputError, unknown_name
from blended.data.media import Frames
from blended.encoders.encoder import RANDOM, Modality, NetworkEncoder
from blended.encoders.faces import Faces
from blended.encoders.folder_names import folder_name, spoken_name
from blended.encoders.frames_network import frames_encoder
from blended.encoders.preparing import Preparation
from blended.encoders.running import Precision, ready, seeded
from blended.encoders.weights import Source, check_weights, hub_file

if TYPE_CHECKING:
    from torch import nn

PREFIX = "timm"

HEADS = ("head.", "fc.", "classifier.", "head_dist.", "last_linear.")
"""How the parameters of classifiers begin, which features do without."""


class TimmConfig(BaseModel):
    """The pooled features of every picture, before the classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = "of the model (most of timm: Apache-2.0)"

    name: str
    """`timm:<model>` with timm's name of the model, kept as `timm--<model>`: it names a folder."""
    rate_hz: float = Field(default=5.0, gt=0, le=60)
    """Pictures per second."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @field_validator("name")
    @classmethod
    def _safe(cls, value: str) -> str:
        return folder_name(value, PREFIX)

    @property
    def model(self) -> str:
        """timm's name, such as `resnet50.a1_in1k`."""
        return spoken_name(self.name).partition(":")[2]

    @property
    def source(self) -> Source:
        """Where timm says that the weights are; raises InputError for a model that timm does not have."""
        cfg = self._pretrained()
        if hub := cfg.hf_hub_id:
            return hub_file(hub, cfg.hf_hub_filename or "model.safetensors")
        page = "https://github.com/huggingface/pytorch-image-models"
        return Source(page, self.name, cfg.url or "", file="" if cfg.url else "model.safetensors")

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError without weights, for those of another network and for
        a model that timm does not have."""
        self._pretrained()
        network: Any = ready(_network(self.model, check_weights(self, weights)), device)
        return frames_encoder(
            network,
            network,
            preparation_of(network.pretrained_cfg),
            rate_hz=self.rate_hz,
            dim=network.num_features
            if not hasattr(network, "head_hidden_size")
            else network.head_hidden_size,
            faces=self.faces,
            precision=self.precision,
            device=device,
        )

    def _pretrained(self) -> Any:
        import timm

        cfg = timm.get_pretrained_cfg(self.model, allow_unregistered=False) if _known(self.model) else None
        if cfg is None:
            known = [*timm.list_models(), *timm.list_pretrained()]
            raise unknown_name(
                "timm model", self.model, known if len(known) < 10 else _near(self.model, known)
            )
        return cfg


def _known(model: str) -> bool:
    import timm

    return timm.is_model(model.partition(".")[0])


def _near(model: str, known: list[str]) -> list[str]:
    import difflib

    return difflib.get_close_matches(model, known, n=5) or ["resnet50"]


def _network(model: str, weights: Path) -> "nn.Module":
    import timm

    from blended.encoders.networks.checkpoint import load_state, read_state

    with seeded():
        network = timm.create_model(model, pretrained=False, num_classes=0)
    if weights == RANDOM:
        return network
    state = read_state(weights)
    own = network.state_dict()
    ignored = [name for name in state if name not in own and name.startswith(HEADS)]
    load_state(network, state, str(weights), ignored=ignored)
    return network


def preparation_of(cfg: Any) -> Preparation:
    """What timm does to pictures in evaluation; raises InputError for networks of other inputs."""
    channels, height, width = cfg["input_size"]
    interpolation = cfg["interpolation"]
    if channels != 3 or height != width or interpolation not in ("bicubic", "bilinear"):
        raise InputError(
            f"a timm model with input {cfg['input_size']} and {cfg['interpolation']} scaling: expected "
            f"square colour pictures, scaled bilinear or bicubic; choose another model"
        )
    return Preparation(
        size=height,
        shorter_side=None if cfg.get("crop_mode") == "squash" else int(height / cfg["crop_pct"]),
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
        interpolation=interpolation,
        centre="nearest",
    )
