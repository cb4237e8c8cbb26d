"""The encoders by name."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from blended.data.errors import InputError, unknown_name
from blended.encoders.clip import CLIPConfig
from blended.encoders.dinov2 import DINOv2Config
from blended.encoders.egemaps import EGeMAPSConfig
from blended.encoders.encoder import EncoderConfig
from blended.encoders.face import FaceConfig
from blended.encoders.folder_names import spoken_name
from blended.encoders.hicmae import HiCMAEConfig
from blended.encoders.hub import KINDS, kind_of
from blended.encoders.hubert import HubertConfig
from blended.encoders.imagebind_audio import ImageBindAudioConfig
from blended.encoders.imagebind_vision import ImageBindVisionConfig
from blended.encoders.logmel import LogMelConfig
from blended.encoders.motion import MotionConfig
from blended.encoders.prosody import ProsodyConfig
from blended.encoders.timm_frames import TimmConfig
from blended.encoders.videomae import VideoMAEEncoderConfig
from blended.encoders.videomae2 import VideoMAEv2EncoderConfig
from blended.encoders.videoswin import VideoSwinConfig
from blended.encoders.wav2vec2 import Wav2Vec2Config
from blended.encoders.wavlm import WavLMConfig

ENCODERS: dict[str, type[EncoderConfig]] = {
    "logmel": LogMelConfig,
    "prosody": ProsodyConfig,
    "egemaps": EGeMAPSConfig,
    "motion": MotionConfig,
    "face": FaceConfig,
    "wavlm-base": WavLMConfig,
    "wavlm-large": WavLMConfig,
    "hubert-large": HubertConfig,
    "wav2vec2": Wav2Vec2Config,
    "clip": CLIPConfig,
    "dinov2": DINOv2Config,
    "imagebind-vision": ImageBindVisionConfig,
    "imagebind-audio": ImageBindAudioConfig,
    "videomae2": VideoMAEv2EncoderConfig,
    "videomae": VideoMAEEncoderConfig,
    "videoswin": VideoSwinConfig,
    "hicmae": HiCMAEConfig,
}


def encoder_config(fields: str | Mapping[str, object]) -> EncoderConfig:
    """A config from a name, or from a mapping with a `name` and settings, as `params.yaml` has them.

    A name is one of `ENCODERS`, or `timm:<model>`, or `hf:<owner>/<model>`. Raises InputError for unknown
    names and settings and for values out of range.

    >>> encoder_config({"name": "logmel", "num_bins": 80})
    LogMelConfig(name='logmel', num_bins=80)
    """
    given = {"name": fields} if isinstance(fields, str) else dict(fields)
    name = given.get("name")
    if not isinstance(name, str):
        raise InputError(f"an encoder is chosen by its name, got {given}: add `name:`, one of {[*ENCODERS]}")
    try:
        return _config_type(name, given).model_validate(given)
    except ValidationError as error:
        problems = "; ".join(_problem(dict(found)) for found in error.errors())
        raise InputError(f"encoder {name!r} cannot be configured so: {problems}") from error


def _problem(found: Mapping[str, Any]) -> str:
    place, message = ".".join(map(str, found["loc"])), found["msg"].removeprefix("Value error, ")
    return f"{place}: {message}, got {found['input']!r}" if place else message


def _config_type(name: str, given: Mapping[str, object]) -> Any:
    # Any: beartype cannot check the type of a protocol.
    prefix, _, model = spoken_name(name).partition(":")
    if model and prefix == "timm":
        return TimmConfig
    if model and prefix == "hf":
        kind = str(given.get("kind", "")) or kind_of(name)
        if kind not in KINDS:
            raise unknown_name("kind of model", kind, KINDS)
        return KINDS[kind]
    if name not in ENCODERS:
        raise unknown_name("encoder", name, [*ENCODERS, "timm:<model>", "hf:<owner>/<model>"])
    return ENCODERS[name]
