"""Pictures as each network's own library prepares them, and how clips are cut into windows."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from blended.encoders import clip, dinov2, hicmae, imagebind, videomae, videomae2, videoswin
from blended.encoders.pictures import IMAGENET_MEAN, IMAGENET_STD, Preparation, cut_windows, window_starts
from blended.encoders.timm_frames import preparation_of

SIZES = [(224, 224), (70, 95), (301, 203), (480, 853)]
TOLERANCE = 1e-5


def frames(height: int, width: int, count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(height)
    blocks = rng.integers(0, 256, (count, height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(blocks, 8, axis=1), 8, axis=2)[:, :height, :width]
    return smooth ^ rng.integers(0, 16, smooth.shape, dtype=np.uint8)


def ours(preparation: Preparation, values: np.ndarray) -> Tensor:
    return preparation.normalised(preparation.pixels(values))


def clip_processor(values: np.ndarray) -> Tensor:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor()([*values], return_tensors="pt").pixel_values


def dinov2_processor(values: np.ndarray) -> Tensor:
    """With the settings of `facebook/dinov2-base`."""
    from transformers import BitImageProcessor

    processor = BitImageProcessor(
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        image_mean=[*IMAGENET_MEAN],
        image_std=[*IMAGENET_STD],
    )
    return processor([*values], return_tensors="pt").pixel_values


def videomae_processor(values: np.ndarray) -> Tensor:
    """With the settings of `MCG-NJU/videomae-base-finetuned-kinetics`."""
    from transformers import VideoMAEImageProcessor

    processor = VideoMAEImageProcessor(image_mean=[*IMAGENET_MEAN], image_std=[*IMAGENET_STD])
    return processor([*values], return_tensors="pt").pixel_values[0]


def videoswin_preset(values: np.ndarray) -> Tensor:
    from torchvision.models.video import Swin3D_B_Weights

    preset = Swin3D_B_Weights.KINETICS400_V1.transforms()
    return preset(torch.from_numpy(values).permute(0, 3, 1, 2)).permute(1, 0, 2, 3)


LIBRARIES: dict[str, tuple[Preparation, Callable[[np.ndarray], Tensor]]] = {
    "clip": (clip.PREPARATION, clip_processor),
    "imagebind": (imagebind.PREPARATION, clip_processor),
    "dinov2": (dinov2.PREPARATION, dinov2_processor),
    "videomae": (videomae.PREPARATION, videomae_processor),
    "videomae2": (videomae2.PREPARATIONS["standard"], videomae_processor),
    "videoswin": (videoswin.PREPARATION, videoswin_preset),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LIBRARIES)
def test_pictures_are_those_of_the_library(name: str, size: tuple[int, int]):
    preparation, library = LIBRARIES[name]
    values = frames(*size)
    torch.testing.assert_close(ours(preparation, values), library(values), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_timm_pictures_are_those_of_timm(size: tuple[int, int]):
    """timm scales with Pillow, which rounds otherwise: never by more than two levels of 255."""
    import timm.data
    from PIL import Image

    cfg = {
        "input_size": (3, 224, 224),
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    }
    values = frames(*size)
    transform = timm.data.create_transform(**cfg)
    theirs = torch.stack([transform(Image.fromarray(picture)) for picture in values])
    difference = (ours(preparation_of(cfg), values) - theirs).abs()
    assert difference.max() < 2.01 / 255 / min(IMAGENET_STD)
    assert difference.mean() < 0.1 / 255


def test_the_organisers_pictures_are_blue_first_between_0_and_1():
    preparation = videomae2.PREPARATIONS["blemore-official"]
    values = frames(224, 224, 1)
    expected = torch.from_numpy(values[0, :, :, ::-1].copy()).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(ours(preparation, values)[0], expected)
    stretched = ours(preparation, frames(100, 200, 1))
    assert stretched.shape == (1, 3, 224, 224) and stretched.min() >= 0 and stretched.max() <= 1


def test_many_frames_are_prepared_as_few():
    values = frames(70, 95, 40)
    one_by_one = torch.cat([hicmae.PREPARATION.pixels(values[k : k + 1]) for k in range(40)])
    assert torch.equal(hicmae.PREPARATION.pixels(values), one_by_one)


@given(st.integers(1, 200), st.integers(1, 32), st.integers(1, 40))
def test_windows_are_even_and_mostly_real(num_frames: int, window: int, stride: int):
    starts = window_starts(num_frames, window, stride)
    assert starts[0] == 0 and all(b - a == stride for a, b in pairwise(starts))
    whole = [start for start in starts if start + window <= num_frames]
    assert len(starts) <= max(1, len(whole) + 1)
    seen = {frame for start in starts for frame in range(start, min(start + window, num_frames))}
    if stride <= window:
        assert num_frames - len(seen) < max(1, stride / 2) or num_frames < window
    if len(starts) > max(1, len(whole)):
        before = {frame for start in starts[:-1] for frame in range(start, start + window)}
        assert len(seen - before) >= min(window, stride) / 2


def test_windows_repeat_the_last_frame_or_fill_with_zeros():
    values = torch.arange(1, 13)[:, None]
    assert cut_windows(values, 8, 8)[:, :, 0].tolist() == [
        [1, 2, 3, 4, 5, 6, 7, 8],
        [9, 10, 11, 12, 12, 12, 12, 12],
    ]
    assert cut_windows(values[:11], 8, 8)[:, :, 0].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert cut_windows(values[:9], 8, 8, "zeros")[:, :, 0].tolist() == [
        [1, 2, 3, 4, 5, 6, 7, 8],
        [9, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert cut_windows(values[:2], 4, 4)[:, :, 0].tolist() == [[1, 2, 2, 2]]
