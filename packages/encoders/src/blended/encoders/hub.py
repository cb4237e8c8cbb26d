"""Any audio or video model of the Hugging Face hub that the transformers library can load.

Such an encoder is named `hf:<owner>/<model>` and is built from a local copy of its repository, which holds
the network's config, its weights and the settings of its processor: SigLIP 2, V-JEPA 2, PE audio-video, AST.
What it perceives is its `kind`, which is known for common families and has to be stated for others. Code that
comes with a repository is never run.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from blended.data.errors import InputError
from blended.data.media import Frames, Waveform
from blended.encoders.device import Precision
from blended.encoders.encoder import AudioVisual, Modality, NetworkEncoder
from blended.encoders.faces import Faces
from blended.encoders.names import folder_name, spoken_name
from blended.encoders.weights import Source, check_weights

PREFIX = "hf"
LICENCE = "of the model: see its page"

FAMILIES = {
    "audio": ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "sew", "whisper", "ast-", "clap"),
    "audio-visual": ("pe-av",),
    "video": ("vjepa", "v-jepa", "videomae", "vivit", "timesformer", "xclip"),
    "frames": ("siglip", "clip", "dino", "vit", "beit", "convnext", "resnet", "swin", "deit", "eva"),
}
"""Parts of model names, and what such models perceive; the first that fits counts."""


def repository_of(name: str) -> str:
    """`owner/model` of an encoder's name."""
    return spoken_name(name).partition(":")[2]


def kind_of(name: str) -> str:
    """What a model perceives, by its name; raises InputError for one of no known family."""
    model = repository_of(name).rpartition("/")[2].lower()
    for kind, parts in FAMILIES.items():
        if any(part in model for part in parts):
            return kind
    raise InputError(
        f"encoder {spoken_name(name)} is of no family known by name: add `kind:`, one of "
        f"{', '.join(FAMILIES)}"
    )


class HubConfig(BaseModel):
    """What the four kinds have in common: the repository."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighted: ClassVar[bool] = True
    licence: ClassVar[str] = LICENCE

    name: str
    """`hf:<owner>/<model>`, kept as `hf--<owner>--<model>`."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @field_validator("name")
    @classmethod
    def _safe(cls, value: str) -> str:
        return folder_name(value, PREFIX)

    @property
    def source(self) -> Source:
        """The repository."""
        repository = repository_of(self.name)
        page = f"https://huggingface.co/{repository}"
        return Source(page, repository.replace("/", "--"), repository=repository)


class HubFramesConfig(HubConfig):
    """One vector per picture: the model's image embedding, its pooled output, or its mean token."""

    modality: ClassVar[Modality] = "video"

    kind: Literal["frames"] = "frames"
    rate_hz: float = Field(default=5.0, gt=0, le=60)
    """Pictures per second."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError for a folder that holds no such model."""
        from blended.encoders.hub_networks import frames_from_hub

        folder = check_weights(self, weights)
        return frames_from_hub(folder, self.rate_hz, self.faces, self.precision, device)


class HubVideoConfig(HubConfig):
    """One vector per window of frames: the model's video embedding, its pooled output, or its mean token."""

    modality: ClassVar[Modality] = "video"

    kind: Literal["video"] = "video"
    frame_rate_hz: float = Field(default=12.5, gt=0, le=60)
    """Frames per second that are looked at."""
    num_frames: int | None = Field(default=None, ge=1)
    """In one window; None for what the model was trained on."""
    stride_seconds: float = Field(default=0.64, gt=0)
    """From the start of one window to that of the next, to the nearest frame."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError for a folder that holds no such model."""
        from blended.encoders.hub_networks import video_from_hub

        stride_frames = max(1, round(self.stride_seconds * self.frame_rate_hz))
        folder, rate_hz = check_weights(self, weights), self.frame_rate_hz
        return video_from_hub(
            folder, rate_hz, self.num_frames, stride_frames, self.faces, self.precision, device
        )


class HubAudioConfig(HubConfig):
    """Layers over time of a model that takes the waveform; one vector per clip of one that does not."""

    modality: ClassVar[Modality] = "audio"

    kind: Literal["audio"] = "audio"
    layers: str = Field(default="last", pattern=r"^(\d+|\d+-\d+|last|all)$", coerce_numbers_to_str=True)
    """Of a model that takes the waveform: one layer (9), a range (6-12), last or all."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Waveform]:
        """An encoder of sound; raises InputError for a folder that holds no such model."""
        from blended.encoders.hub_networks import audio_from_hub

        return audio_from_hub(check_weights(self, weights), self.layers, self.precision, device)


class HubAudioVisualConfig(HubConfig):
    """One vector per clip of a model that takes pictures and sound together (PE audio-video)."""

    modality: ClassVar[Modality] = "audio-visual"

    kind: Literal["audio-visual"] = "audio-visual"
    frame_rate_hz: float = Field(default=5.0, gt=0, le=60)
    """Frames per second that are looked at."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[AudioVisual]:
        """An encoder of pictures and sound; raises InputError for a folder that holds no such model."""
        from blended.encoders.hub_networks import audio_visual_from_hub

        folder = check_weights(self, weights)
        return audio_visual_from_hub(folder, self.frame_rate_hz, self.faces, self.precision, device)


KINDS: dict[str, Any] = {
    "frames": HubFramesConfig,
    "video": HubVideoConfig,
    "audio": HubAudioConfig,
    "audio-visual": HubAudioVisualConfig,
}
"""By `kind`."""
