"""Clips as an audio-visual network wants them: windows of small pictures, and the spectrogram of each.

What is made here is HiCMAE's front end (arXiv 2401.05698, and `blended.encoders.hicmae`) at any size: smaller
networks get fewer and smaller pictures of the same stretch of time, and a spectrogram averaged over
neighbouring frames and bins. A models, B clips per batch, N clips, W window, F frame, S spectrogram frame, M
mel bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float32, Int, UInt8
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.data.errors import InputError
from blended.data.media import Frames, Waveform, probe, read_audio
from blended.encoders.faces import Faces
from blended.encoders.hicmae import AUDIO_HALF_RANGE, AUDIO_MEAN
from blended.encoders.pictures import Preparation, picture_stream
from blended.encoders.sound import NUM_BINS, RATE_HZ, pieces, spectrogram
from blended.fusion.inputs import MODALITY_OF, PICTURES, SOUND, Media
from blended.fusion.network import Batch
from blended.fusion.sources import Change, present_after

FULL_FRAMES = 256
"""Spectrogram frames of a window, 10 ms each, before they are averaged."""
WINDOW_SECONDS = FULL_FRAMES / 100


class ClipPreparation(BaseModel):
    """What becomes of a clip before the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_frames: int = Field(ge=1)
    """Pictures in a window."""
    pixels: int = Field(ge=8)
    """Height and width of a picture: its shorter side becomes this long, then the centre is cut out."""
    spectrogram_frames: int = Field(ge=1)
    """A divisor of 256: as many frames stand for 2.56 seconds."""
    mel_bins: int = Field(ge=1)
    """A divisor of 128."""
    windows: int = Field(default=1, ge=1)
    """Stretches of 2.56 seconds, spread evenly from the beginning of the clip to its end; one lies in the
    middle. Shorter clips have the same window several times."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face; None for whole pictures."""

    @property
    def frame_rate_hz(self) -> float:
        """Pictures per second: 6.25 for the published 16."""
        return self.num_frames / WINDOW_SECONDS

    def check(self) -> None:
        """Raises InputError for a spectrogram that is no whole fraction of 256 x 128."""
        if FULL_FRAMES % self.spectrogram_frames or NUM_BINS % self.mel_bins:
            raise InputError(
                f"a spectrogram of {self.spectrogram_frames} frames and {self.mel_bins} mel bins cannot be "
                f"averaged from {FULL_FRAMES} x {NUM_BINS}: choose divisors of these"
            )


@dataclass(frozen=True, slots=True, eq=False)
class PreparedClip:
    """A clip in windows; zeros for a track that it does not have."""

    pictures: UInt8[np.ndarray, "W F height width 3"]
    sound: Float16[np.ndarray, "W S M"]
    """Log mel energies, normalised as the published network's: about -1 to 1."""
    has_pictures: bool
    has_sound: bool


def prepared_clip(path: Path, preparation: ClipPreparation) -> PreparedClip:
    """Reads one file; raises InputError for one that cannot be read."""
    preparation.check()
    info = probe(path)
    stream = picture_stream(preparation.frame_rate_hz, preparation.pixels, preparation.faces)
    frames = None if info.video is None else stream.read(path)
    sound = None if info.audio is None else read_audio(path, RATE_HZ)
    return windows_of(frames, sound, preparation)


def windows_of(frames: Frames | None, sound: Waveform | None, preparation: ClipPreparation) -> PreparedClip:
    """A decoded clip in windows; raises InputError for one with neither pictures nor sound."""
    lead = frames if frames is not None else sound
    if lead is None:
        raise InputError("a clip has neither pictures nor sound: give another file")
    rate_hz = preparation.frame_rate_hz
    num_steps = len(frames.values) if frames is not None else round(lead.duration_seconds * rate_hz)
    starts = window_steps(num_steps, preparation)
    side, w = preparation.pixels, preparation.windows
    pictures = np.zeros((w, preparation.num_frames, side, side, 3), np.uint8)
    banks = np.zeros((w, preparation.spectrogram_frames, preparation.mel_bins), np.float16)
    if frames is not None:
        pictures = _pictures(frames, starts, preparation)
    if sound is not None:
        seconds = [start / rate_hz + lead.start_seconds - sound.start_seconds for start in starts]
        spans = [(first, first + WINDOW_SECONDS) for first in seconds]
        full = [spectrogram(piece, FULL_FRAMES) for piece in pieces(sound.values, spans)]
        banks = np.stack([_averaged(bank, preparation) for bank in full]).astype(np.float16)
    return PreparedClip(pictures, banks, frames is not None, sound is not None)


def window_steps(num_steps: int, preparation: ClipPreparation) -> list[int]:
    """First pictures of the windows of a clip.

    >>> window_steps(40, ClipPreparation(
    ...     num_frames=16, pixels=64, spectrogram_frames=256, mel_bins=128, windows=3))
    [0, 12, 24]
    """
    last = max(0, num_steps - preparation.num_frames)
    if preparation.windows == 1:
        return [last // 2]
    return [round(place) for place in np.linspace(0, last, preparation.windows)]


def _pictures(
    frames: Frames, starts: list[int], preparation: ClipPreparation
) -> UInt8[np.ndarray, "W F height width 3"]:
    """The last picture again beyond the end."""
    resize = Preparation(preparation.pixels, preparation.pixels, interpolation="bilinear")
    values = resize.pixels(frames.values).permute(0, 2, 3, 1).numpy()
    index = np.array(starts)[:, None] + np.arange(preparation.num_frames)
    return values[index.clip(max=len(values) - 1)]


def _averaged(
    bank: Float32[np.ndarray, "time bin"], preparation: ClipPreparation
) -> Float32[np.ndarray, "S M"]:
    normalised = (bank - AUDIO_MEAN) / AUDIO_HALF_RANGE
    s, m = preparation.spectrogram_frames, preparation.mel_bins
    blocks = normalised.reshape(s, FULL_FRAMES // s, m, NUM_BINS // m)
    return blocks.mean(axis=(1, 3)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class MediaSource:
    """Batches of decoded clips; nothing is fitted on a training part, so all models share them."""

    media: Media
    device: torch.device
    change: Change = field(default_factory=Change)

    def batch(self, models: Int[Tensor, "A"], rows_AB: Int[Tensor, "A B"]) -> Batch:
        """`pictures` uint8 [A, B, W, F, height, width, 3], `sound` [A, B, W, S, M], `present` [A, B, 2]."""
        rows = rows_AB.cpu().numpy()
        pictures, has_pictures = self._stored(PICTURES, rows, self.media.has_pictures)
        sound, has_sound = self._stored(SOUND, rows, self.media.has_sound)
        present = torch.from_numpy(np.stack([has_pictures, has_sound], axis=-1))
        present = present_after(self.change, [*MODALITY_OF.values()], present)
        return {
            PICTURES: torch.from_numpy(self.media.pictures[pictures]).to(self.device),
            SOUND: torch.from_numpy(self.media.sound[sound]).to(self.device).float(),
            "present": present.to(self.device),
        }

    def _stored(
        self, name: str, rows: Int[np.ndarray, "A B"], has: Bool[np.ndarray, "stored"]
    ) -> tuple[Int[np.ndarray, "A B"], Bool[np.ndarray, "A B"]]:
        """Where the clips' pictures or sounds are stored, and whether they are there."""
        stored = self.media.rows[rows]
        if name in self.change.shuffled and self.change.order is not None:
            others = self.media.rows[self.change.order.cpu().numpy()[rows]]
            # A clip without this track has none to lend.
            stored = np.where(has[others], others, stored)
        return stored, has[stored]

    def lengths(self, rows_AB: Int[Tensor, "A B"]) -> Int[Tensor, "A B"] | None:
        """None: all clips are stretches of one length."""
        return None

    def changed(self, change: Change) -> "MediaSource":
        """A source of the clips without some tracks, or with those of other clips."""
        if change.columns is not None:
            raise InputError("pictures and sound have no named columns: leave `columns` out")
        return replace(self, change=change)

    def state(self, models: Sequence[int]) -> dict[str, Tensor]:
        """Nothing: new clips need no more than the config."""
        return {}
