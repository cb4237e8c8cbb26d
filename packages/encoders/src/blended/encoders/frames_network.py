"""Encoders of single pictures: one vector per picture, from a network that sees one at a time."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blended.data.media import Frames
from blended.encoders.encoder import ONLY_LAYER, NetworkEncoder, Output
from blended.encoders.faces import FaceCrop
from blended.encoders.preparing import Preparation, picture_stream
from blended.encoders.running import Precision, encode_rows

if TYPE_CHECKING:
    from torch import Tensor

BATCH_SIZE = 8
"""Clips handed over at once."""

PICTURES_AT_ONCE = {"cpu": 16}
"""Pictures computed together, from one clip or several, by kind of device."""
PICTURES_AT_ONCE_ELSEWHERE = 64


def frames_encoder(
    network: Any,
    embed: "Callable[[Tensor], Tensor]",
    preparation: Preparation,
    *,
    rate_hz: float,
    dim: int,
    faces: FaceCrop | None,
    precision: Precision,
    device: str,
) -> NetworkEncoder[Frames]:
    """An encoder of pictures into [time, dim]; `embed` maps normalised pictures to vectors."""
    function = partial(
        encode_pictures, embed=embed, preparation=preparation, precision=precision, device=device
    )
    stream = picture_stream(rate_hz, preparation.size, faces)
    return NetworkEncoder(stream, Output(dim, rate_hz), BATCH_SIZE, function, network)


def encode_pictures(
    inputs: Sequence[Frames],
    *,
    embed: "Callable[[Tensor], Tensor]",
    preparation: Preparation,
    precision: Precision,
    device: str,
) -> list[Mapping[str, NDArray[np.floating]]]:
    """[time, dim] for every clip."""
    encoded = encode_rows(
        [preparation.pixels(item.values) for item in inputs],
        lambda pixels: embed(preparation.normalised(pixels)),
        size=PICTURES_AT_ONCE.get(device, PICTURES_AT_ONCE_ELSEWHERE),
        device=device,
        precision=precision,
    )
    return [{ONLY_LAYER: values} for values in encoded]
