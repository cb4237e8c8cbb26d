"""Pictures as networks want them, and encoders of single pictures and of windows of them.

Pictures are resized, cut and normalised exactly as the networks' own libraries do it.
T time, C channels (red, green, blue), H height, W width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from blended.data.media import Frames
from blended.encoders.device import Precision, encode_rows, ready
from blended.encoders.encoder import ONLY_LAYER, Modality, NetworkEncoder, Output, VideoStream
from blended.encoders.faces import FaceCrop, Faces, FaceStream
from blended.encoders.weights import check_weights

if TYPE_CHECKING:
    from torch import Tensor


Triple = tuple[float, float, float]
Padding = Literal["repeat", "zeros"]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)

FRAMES_AT_ONCE = 32
"""Frames resized together, which bounds the memory for large ones."""

CLIPS_AT_ONCE = {False: 8, True: 4}
"""Clips handed over at once, by whether they are cut into windows."""

ROWS_AT_ONCE = {(False, True): 16, (False, False): 64, (True, True): 1, (True, False): 16}
"""Pictures or windows computed together, from one clip or several, by (windows or not, on the CPU or not)."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What becomes of a picture before the network. In this order: resize, centre crop, divide, normalise."""

    size: int
    """Height and width of what the network gets, in pixels."""
    shorter_side: int | None
    """The picture keeps its shape and gets this shorter side, then the centre is cut out; None: it is
    stretched to `size`."""
    mean: Triple = IMAGENET_MEAN
    """Subtracted, in 0 to 1."""
    std: Triple = IMAGENET_STD
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    antialias: bool = True
    """Average what falls onto one pixel; some libraries do not."""
    centre: Literal["down", "nearest"] = "down"
    """Where the middle lies between two pixels: transformers rounds down, torchvision to the nearest."""
    order: Literal["rgb", "bgr"] = "rgb"

    def pixels(self, frames: UInt8[np.ndarray, "time height width 3"]) -> "UInt8[Tensor, 'time 3 size size']":
        """[T, 3, size, size] in 0 to 255, red first: all that does not depend on the network's device."""
        import torch

        values = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        parts = [self._fitted(part) for part in values.split(FRAMES_AT_ONCE)]
        return torch.cat(parts).contiguous()

    def normalised(self, pixels: "UInt8[Tensor, '*batch 3 size size']") -> "Tensor":
        """Float32 of the same shape, where the pixels are."""
        import torch

        mean = torch.tensor(self.mean, device=pixels.device)[:, None, None] * 255
        std = torch.tensor(self.std, device=pixels.device)[:, None, None] * 255
        values = (pixels.float() - mean) / std
        return values.flip(-3) if self.order == "bgr" else values

    def _fitted(self, values: "Tensor") -> "Tensor":
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as old
        from torchvision.transforms.v2 import functional as new

        # The two differ by a level in places; what does not antialias is older than the new one.
        resize = new.resize if self.antialias else old.resize
        mode = InterpolationMode(self.interpolation)
        target = [self.size, self.size] if self.shorter_side is None else [self.shorter_side]
        resized = resize(values, target, interpolation=mode, antialias=self.antialias)
        if self.centre == "nearest":
            return new.center_crop(resized, [self.size, self.size])
        top, left = ((side - self.size) // 2 for side in resized.shape[-2:])
        return resized[..., top : top + self.size, left : left + self.size]


def picture_stream(rate_hz: float | None, size: int, faces: FaceCrop | None) -> VideoStream | FaceStream:
    """Whole pictures with their shape, or the face as a square of `size`.

    Pictures more than twice as large as what the network gets are scaled down by the decoder: a clip in full
    HD would not fit into memory. The resize of the network's library follows.
    """
    if faces is not None:
        return FaceStream(rate_hz, (size, size), faces)
    return VideoStream(rate_hz, None, max_short_side=2 * size)


def window_starts(num_frames: int, window: int, stride: int) -> list[int]:
    """First frames of the windows of a clip, at even steps from 0.

    Windows are whole, but for one more at the end where it adds at least half a step that no other has seen;
    a clip of any length has one.

    >>> window_starts(50, 16, 16), window_starts(56, 16, 16), window_starts(3, 16, 16)
    ([0, 16, 32], [0, 16, 32, 48], [0])
    >>> window_starts(48, 32, 16), window_starts(56, 32, 16)
    ([0, 16], [0, 16, 32])
    """
    starts = [*range(0, max(0, num_frames - window) + 1, stride)]
    after = starts[-1] + stride
    unseen = num_frames - max(starts[-1] + window, after)
    return [*starts, after] if 2 * unseen >= min(window, stride) else starts


def cut_windows(values: "Tensor", window: int, stride: int, padding: Padding = "repeat") -> "Tensor":
    """[windows, window, ...] of [T, ...].

    `repeat`: the windows of `window_starts`, the last frame again beyond the end. `zeros`: every window that
    begins within the clip, zeros beyond the end.
    """
    import torch

    starts = window_starts(len(values), window, stride)
    if padding == "zeros":
        starts = [*range(0, len(values), stride)]
    index = torch.tensor(starts)[:, None] + torch.arange(window)
    windows = values[index.clamp(max=len(values) - 1)]
    if padding == "zeros":
        windows[index >= len(values)] = 0
    return windows


def grey(values: UInt8[np.ndarray, "time height width 3"]) -> UInt8[np.ndarray, "time height width"]:
    """Luma of RGB pictures (ITU-R BT.601), all in one call: stacked on top of each other they are one."""
    num_frames, height, width, _ = values.shape
    stacked = np.ascontiguousarray(values).reshape(num_frames * height, width, 3)
    return cv2.cvtColor(stacked, cv2.COLOR_RGB2GRAY).reshape(num_frames, height, width)


@dataclass(frozen=True, slots=True)
class Windows:
    """How a clip is cut into windows."""

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

    def of(self, frames: "Tensor") -> "Tensor":
        """[windows, num_frames, ...] of the frames [T, ...] of a clip."""
        return cut_windows(frames, self.num_frames, self.stride_frames, self.padding)


@dataclass(frozen=True, slots=True)
class PictureNetwork:
    """A network with what it wants to see."""

    module: Any
    """The torch module, for the loop to compile."""
    embed: "Callable[[Tensor], Tensor]"
    """From normalised pictures [batch, 3, size, size], or windows of them [batch, frames, 3, size, size], to
    vectors [batch, dim]."""
    preparation: Preparation
    dim: int
    """Columns of its vectors."""


def picture_encoder(
    network: PictureNetwork,
    windows: Windows | None,
    rate_hz: float,
    *,
    faces: FaceCrop | None,
    precision: Precision,
    device: str,
) -> NetworkEncoder[Frames]:
    """One vector per window, or without `windows` per picture, of a clip at `rate_hz` pictures per second."""
    module = ready(network.module, device)
    function = partial(encode_pictures, network=network, windows=windows, precision=precision, device=device)
    stream = picture_stream(rate_hz, network.preparation.size, faces)
    output = Output(network.dim, windows.rate_hz if windows else rate_hz)
    return NetworkEncoder(stream, output, CLIPS_AT_ONCE[windows is not None], function, module)


def encode_pictures(
    inputs: Sequence[Frames],
    *,
    network: PictureNetwork,
    windows: Windows | None,
    precision: Precision,
    device: str,
) -> list[Mapping[str, NDArray[np.floating]]]:
    """[time, dim] for every clip."""
    clips = [network.preparation.pixels(item.values) for item in inputs]
    encoded = encode_rows(
        [windows.of(pixels) for pixels in clips] if windows else clips,
        lambda pixels: network.embed(network.preparation.normalised(pixels)),
        size=ROWS_AT_ONCE[windows is not None, device == "cpu"],
        device=device,
        precision=precision,
    )
    return [{ONLY_LAYER: values} for values in encoded]


class FramesConfig(BaseModel, frozen=True, extra="forbid"):
    """What encoders of single pictures have in common: one vector per picture."""

    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str]

    name: str
    rate_hz: float = Field(default=5.0, gt=0, le=60)
    """Pictures per second."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    def load(self, weights: Path) -> PictureNetwork:
        """The network; raises InputError for weights of another."""
        raise NotImplementedError

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError without weights and for those of another network."""
        network = self.load(check_weights(self, weights))
        return picture_encoder(
            network, None, self.rate_hz, faces=self.faces, precision=self.precision, device=device
        )


class WindowsConfig(BaseModel, frozen=True, extra="forbid"):
    """What encoders of short stretches of video have in common: one vector per window of frames."""

    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = True
    licence: ClassVar[str]

    name: str
    frame_rate_hz: float = Field(default=25.0, gt=0, le=60)
    """Frames per second that are looked at."""
    stride_frames: int = Field(default=16, ge=1)
    """From the start of one window to that of the next."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""
    precision: Precision = "as-device"
    """Of the matrix products."""

    @property
    def windows(self) -> Windows:
        """How a clip is cut."""
        raise NotImplementedError

    def load(self, weights: Path) -> PictureNetwork:
        """The network; raises InputError for weights of another."""
        raise NotImplementedError

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> NetworkEncoder[Frames]:
        """An encoder of pictures; raises InputError without weights and for those of another network."""
        network = self.load(check_weights(self, weights))
        return picture_encoder(
            network,
            self.windows,
            self.frame_rate_hz,
            faces=self.faces,
            precision=self.precision,
            device=device,
        )
