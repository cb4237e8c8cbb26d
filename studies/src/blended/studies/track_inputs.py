"""New files for a run that reads the clips themselves: its tracks, decoded as an encoder's input would be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from blended.encoders.encoder import AudioStream, ClipEncoder, Encoder, EncoderConfig, Modality
from blended.encoders.pictures import picture_stream
from blended.encoders.sound import RATE_HZ
from blended.fusion.clip_media import ClipPreparation, windows_of
from blended.fusion.media import PICTURES, SOUND, Media


class _Pictures(BaseModel):
    """The pictures of a file, for `blended.encoders.one_file.decode`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "video"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = ""

    name: Literal["pictures"] = PICTURES
    preparation: ClipPreparation

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Any]:
        """What says how they are decoded."""
        given = self.preparation
        stream = picture_stream(given.frame_rate_hz, given.pixels, given.faces)
        return ClipEncoder(stream, (), given.frame_rate_hz, _never)


class _Sound(BaseModel):
    """The sound of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = ""

    name: Literal["sound"] = SOUND

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Any]:
        """What says how it is decoded."""
        return ClipEncoder(AudioStream(RATE_HZ), (), float(RATE_HZ), _never)


def _never(given: object) -> np.ndarray:
    raise TypeError(f"a track is no feature: {type(given).__name__} is given to the network as it is")


def tracks(preparation: ClipPreparation) -> dict[str, tuple[EncoderConfig, Encoder[Any]]]:
    """In place of encoders: what of a file is decoded, and how."""
    pictures, sound = _Pictures(preparation=preparation), _Sound()
    return {PICTURES: (pictures, pictures.build()), SOUND: (sound, sound.build())}


def of_tracks(decoded: Mapping[str, Any], preparation: ClipPreparation) -> dict[str, Tensor]:
    """`pictures` [1, window, frame, height, width, 3] and `sound` [1, window, time, bin], as far as there."""
    clip = windows_of(decoded.get(PICTURES), decoded.get(SOUND), preparation)
    given = {PICTURES: clip.pictures, SOUND: clip.sound}
    return {name: torch.from_numpy(given[name])[None] for name in decoded}


def media_of_tracks(given: Mapping[str, Tensor], preparation: ClipPreparation) -> Media:
    """Clips that all have the same tracks, as the network reads them."""
    count, w = len(next(iter(given.values()))), preparation.windows
    side = preparation.pixels
    pictures = np.zeros((count, w, preparation.num_frames, side, side, 3), np.uint8)
    sound = np.zeros((count, w, preparation.spectrogram_frames, preparation.mel_bins), np.float16)
    return Media(
        given[PICTURES].numpy() if PICTURES in given else pictures,
        given[SOUND].numpy() if SOUND in given else sound,
        np.full(count, PICTURES in given),
        np.full(count, SOUND in given),
        np.arange(count),
    )
