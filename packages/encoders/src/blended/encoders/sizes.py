"""How much disk features will take, before anything is computed."""

from collections.abc import Sequence

from blended.data.digits import plain, small
from blended.encoders.encoder import EncoderConfig, Output
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
