"""All encoders by name, and what their features will take on disk, before anything is computed."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from blended.data.digits import plain, small
from blended.data.errors import InputError, unknown_name
from blended.encoders.clip import CLIPConfig
from blended.encoders.dinov2 import DINOv2Config
from blended.encoders.egemaps import EGeMAPSConfig
from blended.encoders.encoder import EncoderConfig, Output
from blended.encoders.face import FaceConfig
from blended.encoders.hicmae import HiCMAEConfig
from blended.encoders.hub import KINDS, kind_of
from blended.encoders.imagebind import ImageBindAudioConfig, ImageBindVisionConfig
from blended.encoders.logmel import LogMelConfig
from blended.encoders.motion import MotionConfig
from blended.encoders.names import spoken_name
from blended.encoders.prosody import ProsodyConfig
from blended.encoders.speech import SpeechConfig, WavLMConfig
from blended.encoders.timm_frames import TimmConfig
from blended.encoders.videomae import VideoMAEEncoderConfig
from blended.encoders.videomae2 import VideoMAEv2EncoderConfig
from blended.encoders.videoswin import VideoSwinConfig
from blended.encoders.weights import Pretrained

BYTES = {"float16": 2, "float32": 4}


def expected_bytes(output: Output, clip_seconds: Sequence[float]) -> int:
    """Bytes of the features of clips of these lengths, without the few kilobytes of headers.

    >>> expected_bytes(Output(1024, 50.0, ("11", "12")), [10.0, 5.0])
    3072000
    """
    steps = sum(max(1, round(output.rate_hz * seconds)) for seconds in clip_seconds)
    return steps * len(output.layers) * output.dim * BYTES[output.dtype]


def size_in_words(config: EncoderConfig, clip_seconds: Sequence[float]) -> str:
    """One line on what the features of an encoder will take; empty where only the network knows."""
    if not isinstance(config, Pretrained):
        return ""
    output = config.output
    hours = sum(clip_seconds) / 3600
    size = expected_bytes(output, clip_seconds)
    layers = f"{len(output.layers)} layers x " if len(output.layers) > 1 else ""
    return (
        f"{config.name}: about {_readable(size)} on disk ({layers}{output.dim} columns x "
        f"{rate_in_words(output.rate_hz, 'per second')}, {small(hours, 2)} hours, {output.dtype})"
    )


def rate_in_words(rate_hz: float, unit: str = "") -> str:
    """Features per second; 0 stands for one vector for a whole clip.

    >>> rate_in_words(12.5, "per second"), rate_in_words(0.0)
    ('12.5 per second', 'per clip')
    """
    return f"{plain(rate_hz)} {unit}".strip() if rate_hz else "per clip"


def _readable(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


ENCODERS: dict[str, type[EncoderConfig]] = {
    "logmel": LogMelConfig,
    "prosody": ProsodyConfig,
    "egemaps": EGeMAPSConfig,
    "motion": MotionConfig,
    "face": FaceConfig,
    "wavlm-base": WavLMConfig,
    "wavlm-large": WavLMConfig,
    "hubert-large": SpeechConfig,
    "wav2vec2": SpeechConfig,
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
