"""Any picture network of timm: ResNets, EfficientNets, vision transformers, ...

Wightman (2019), "PyTorch image models", https://github.com/huggingface/pytorch-image-models. ResNet-50 on
frames is the published baseline for reaction intensities.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from blended.data.errors import InputError, unknown_name
from blended.encoders.device import seeded
from blended.encoders.encoder import RANDOM
from blended.encoders.names import folder_name, spoken_name
from blended.encoders.pictures import FramesConfig, PictureNetwork, Preparation
from blended.encoders.weights import Source, hub_file

if TYPE_CHECKING:
    from torch import nn

PREFIX = "timm"

HEADS = ("head.", "fc.", "classifier.", "head_dist.", "last_linear.")
"""How the parameters of classifiers begin, which features do without."""


class TimmConfig(FramesConfig, frozen=True):
    """The pooled features of every picture, before the classifier.

    `timm:<model>` with timm's name of the model, kept as `timm--<model>`: it names a folder.
    """

    licence: ClassVar[str] = "of the model (most of timm: Apache-2.0)"

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

    def load(self, weights: Path) -> PictureNetwork:
        """The network; raises InputError for weights of another and for a model that timm does not have."""
        self._pretrained()
        network: Any = _network(self.model, weights)
        dim = getattr(network, "head_hidden_size", network.num_features)
        return PictureNetwork(network, network, preparation_of(network.pretrained_cfg), dim)

    def _pretrained(self) -> Any:
        import timm

        cfg = timm.get_pretrained_cfg(self.model, allow_unregistered=False) if _known(self.model) else None
        if cfg is None:
            known = [*timm.list_models(), *timm.list_pretrained()]
            raise unknown_name("timm model", self.model, _near(self.model, known))
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
