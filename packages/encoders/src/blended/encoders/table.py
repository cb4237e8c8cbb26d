"""The encoders by name."""

from collections.abc import Mapping

from pydantic import ValidationError

from blended.data.errors import InputError, unknown_name
from blended.encoders.egemaps import EGeMAPSConfig
from blended.encoders.encoder import EncoderConfig
from blended.encoders.face import FaceConfig
from blended.encoders.logmel import LogMelConfig
from blended.encoders.motion import MotionConfig
from blended.encoders.prosody import ProsodyConfig

ENCODERS: dict[str, type[EncoderConfig]] = {
    "logmel": LogMelConfig,
    "prosody": ProsodyConfig,
    "egemaps": EGeMAPSConfig,
    "motion": MotionConfig,
    "face": FaceConfig,
}


def encoder_config(fields: str | Mapping[str, object]) -> EncoderConfig:
    """A config from a name, or from a mapping with a `name` and settings, as `params.yaml` has them.

    Raises InputError for unknown names and settings and for values out of range.

    >>> encoder_config({"name": "logmel", "num_bins": 80})
    LogMelConfig(name='logmel', num_bins=80)
    """
    given = {"name": fields} if isinstance(fields, str) else dict(fields)
    name = given.get("name")
    if not isinstance(name, str):
        raise InputError(f"an encoder is chosen by its name, got {given}: add `name:`, one of {[*ENCODERS]}")
    if name not in ENCODERS:
        raise unknown_name("encoder", name, ENCODERS)
    try:
        return ENCODERS[name].model_validate(given)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}, got {p['input']!r}" for p in error.errors()]
        raise InputError(f"encoder {name!r} cannot be configured so: {'; '.join(problems)}") from error
