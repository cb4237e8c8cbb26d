"""Encoders of short stretches of video: one vector per window of frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blended.data.media import Frames
from blended.encoders.encoder import ONLY_LAYER, NetworkEncoder, Output
from blended.encoders.faces import FaceCrop
from blended.encoders.preparing import Padding, Preparation, cut_windows, picture_stream
from blended.encoders.running import Precision, encode_rows

if TYPE_CHECKING:
    from torch import Tensor

BATCH_SIZE = 4
"""Clips handed over at once."""

WINDOWS_AT_ONCE = {"cpu": 1}
"""Windows computed together, from one clip or several, by kind of device."""
WINDOWS_AT_ONCE_ELSEWHERE = 16


@dataclass(frozen=True, slots=True)
class Windows:
    """How a clip is cut."""

    frame_rate_hz: float
    """Frames per second that are looked at."""
    num_frames: int
    """In one window."""
    stride_frames: int
    """From the start of one window to that of the next."""
    padding: Padding = "repeat"
    """What stands for frames beyond the end."""

    @property
    def rate_hz(self) -> float:
        """Windows per second."""
        return self.frame_rate_hz / self.stride_frames


def windows_encoder(
    network: Any,
    embed: "Callable[[Tensor], Tensor]",
    preparation: Preparation,
    windows: Windows,
    *,
    dim: int,
    faces: FaceCrop | None,
    precision: Precision,
    device: str,
) -> NetworkEncoder[Frames]:
    """An encoder of pictures into [windows, dim].

    `embed` maps normalised windows [batch, frames, 3, size, size] to vectors [batch, dim].
    """
    function = partial(
        encode_windows,
        embed=embed,
        preparation=preparation,
        windows=windows,
        precision=precision,
        device=device,
    )
    stream = picture_stream(windows.frame_rate_hz, preparation.size, faces)
    return NetworkEncoder(stream, Output(dim, windows.rate_hz), BATCH_SIZE, function, network)


def encode_windows(
    inputs: Sequence[Frames],
    *,
    embed: "Callable[[Tensor], Tensor]",
    preparation: Preparation,
    windows: Windows,
    precision: Precision,
    device: str,
) -> list[Mapping[str, NDArray[np.floating]]]:
    """[windows, dim] for every clip."""
    encoded = encode_rows(
        [
            cut_windows(
                preparation.pixels(item.values), windows.num_frames, windows.stride_frames, windows.padding
            )
            for item in inputs
        ],
        lambda pixels: embed(preparation.normalised(pixels)),
        size=WINDOWS_AT_ONCE.get(device, WINDOWS_AT_ONCE_ELSEWHERE),
        device=device,
        precision=precision,
    )
    return [{ONLY_LAYER: values} for values in encoded]
