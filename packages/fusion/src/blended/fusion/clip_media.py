"""Clips as an audio-visual network wants them: windows of small pictures, and the spectrogram of each.

What is made here is HiCMAE's front end (arXiv 2401.05698, and `blended.encoders.hicmae`) at any size: smaller
networks get fewer and smaller pictures of the same stretch of time, and a spectrogram averaged over
neighbouring frames and bins. W window, F frame, S spectrogram frame, M mel bin.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Float32, UInt8
from pydantic import BaseModel, ConfigDict, Field

from blended.data.errors import InputError
from blended.data.media import Frames, Waveform, probe, read_audio
from blended.encoders.faces import Faces
from blended.encoders.hicmae import AUDIO_HALF_RANGE, AUDIO_MEAN
from blended.encoders.pictures import Preparation, picture_stream
from blended.encoders.sound import NUM_BINS, RATE_HZ, pieces, spectrogram

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
