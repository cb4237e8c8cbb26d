"""Pitch, voice quality and spectral shape of every 10 ms, built to work on very quiet recordings.

Nothing here is gated by level: pitch and spectral shape do not change when a recording is scaled, and
only `energy_db` knows how loud it was. Pitch follows Boersma (1993), "Accurate short-term analysis of the
fundamental frequency and the harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17: the
autocorrelation of a windowed frame over that of the window, without his silence threshold and path finder.

Shape suffixes: T time, N sample in a window, L lag, F frequency bin.
"""

from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Waveform
from blended.encoders.encoder import AudioStream, ClipEncoder, Modality
from blended.encoders.sound import windows

RATE_HZ = 16000
HOP_SECONDS = 0.01

COLUMNS = (
    "f0_semitones",  # Above 27.5 Hz, as in eGeMAPS; 0 where unvoiced.
    "voiced",  # 0 or 1.
    "voicing",  # Height of the autocorrelation peak, 0 to 1.
    "hnr_db",  # Harmonics-to-noise ratio in the range that decides pitch, -30 to 40.
    "energy_db",  # Mean square, in dB of full scale; -120 in digital silence.
    "tilt_db_per_octave",  # Slope of the spectrum from 100 Hz to 5 kHz.
    "alpha_ratio_db",  # Energy in 50 Hz to 1 kHz over that in 1 to 5 kHz.
    "centroid_khz",
    "flatness_db",  # Geometric over arithmetic mean of the power spectrum; 0 for a flat one.
    "zero_crossings_khz",  # Sign changes per millisecond.
)
SEMITONE_ZERO_HZ = 27.5

# A peak at twice the period must be this much higher to win: against errors by an octave.
OCTAVE_COST = 0.05

# Rooms and handling hum below voices. The correlation leaves out what is lower than the first frequency and
# damps what is lower than the second, or such noise would pass for a deep voice.
RUMBLE_HZ, FULL_WEIGHT_HZ = 45.0, 300.0

# Frames whose median decides pitch and voicing: single frames that jump by an octave are outvoted.
SMOOTHING_FRAMES = 5

# Power below anything a 16-bit recording can hold; keeps digital silence finite.
TINY = 1e-12


class ProsodyConfig(BaseModel):
    """Ten columns (`COLUMNS`), 100 times per second."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "Apache-2.0"

    name: Literal["prosody"] = "prosody"
    floor_hz: float = Field(default=60.0, ge=40, le=200)
    """Lowest pitch; a window holds three of its periods."""
    ceiling_hz: float = Field(default=1000.0, ge=300, le=2000)
    """Highest pitch: screams go far beyond speech."""
    voicing_threshold: float = Field(default=0.45, gt=0, lt=1)
    """A frame is voiced above this `voicing` (Praat's default)."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Waveform]:
        """An encoder of sound at 16 kHz into [time, 10]."""
        return ClipEncoder(AudioStream(RATE_HZ), COLUMNS, 1 / HOP_SECONDS, partial(prosody, config=self))


class Pitch(NamedTuple):
    """The best candidate of every frame."""

    f0_hz: Float[np.ndarray, "time"]
    voicing: Float[np.ndarray, "time"]
    """Height of its peak in the normalised autocorrelation, 0 (no peak) to 1 (periodic)."""


def prosody(waveform: Waveform, config: ProsodyConfig) -> Float32[np.ndarray, "time column"]:
    """The `COLUMNS` of a clip; one shorter than a window (50 ms by default) is padded to one."""
    window = round(3 / config.floor_hz * RATE_HZ)
    x_TN = windows(waveform.values, window, round(HOP_SECONDS * RATE_HZ))
    x_TN = x_TN - x_TN.mean(axis=1, keepdims=True)
    taper_N = np.hanning(window).astype(np.float32)
    max_lag = round(RATE_HZ / config.floor_hz) + 1
    # Padding by the longest lag keeps the circular autocorrelation from wrapping into the lags in use.
    num_fft = _fast_length(window + max_lag)
    power_TF = np.abs(np.fft.rfft(x_TN * taper_N, num_fft)) ** 2
    pitch = _smooth(_pitch(_autocorrelation(power_TF, taper_N, max_lag), config))
    voiced = pitch.voicing > config.voicing_threshold
    ratio = np.clip(pitch.voicing, 1e-3, 1 - 1e-4)
    columns = [
        np.where(voiced, 12 * np.log2(pitch.f0_hz / SEMITONE_ZERO_HZ), 0.0),
        voiced,
        pitch.voicing,
        10 * np.log10(ratio / (1 - ratio)),
        10 * np.log10(np.mean(x_TN**2, axis=1) + TINY),
        *_shape(power_TF, num_fft),
        (np.diff(x_TN >= 0, axis=1) != 0).mean(axis=1) * RATE_HZ / 1000,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _fast_length(least: int) -> int:
    """The next multiple of 128: short prime factors, so a fast transform."""
    return -(-least // 128) * 128


def _autocorrelation(
    power_TF: Float[np.ndarray, "time frequency"], taper_N: Float[np.ndarray, "window"], max_lag: int
) -> Float[np.ndarray, "time lag"]:
    """Autocorrelation at lags 0 to `max_lag`, 1 at lag 0, freed of the window's own (Boersma, eq. 9)."""
    num_fft = 2 * (power_TF.shape[1] - 1)
    hz_F = np.fft.rfftfreq(num_fft, 1 / RATE_HZ)
    weight_F = np.where(hz_F < RUMBLE_HZ, 0.0, np.minimum(hz_F / FULL_WEIGHT_HZ, 1.0))
    taper_L = np.fft.irfft(np.abs(np.fft.rfft(taper_N, num_fft)) ** 2, num_fft)[: max_lag + 1]
    r_TL = np.fft.irfft(power_TF * weight_F, num_fft)[:, : max_lag + 1]
    scale_T = r_TL[:, :1] + TINY
    return r_TL / scale_T / (taper_L / taper_L[0])


def _pitch(r_TL: Float[np.ndarray, "time lag"], config: ProsodyConfig) -> Pitch:
    """The local maximum that wins after the octave cost, its place refined by a parabola."""
    lags = np.arange(int(RATE_HZ / config.ceiling_hz), r_TL.shape[1] - 1)
    before, here, after = r_TL[:, lags - 1], r_TL[:, lags], r_TL[:, lags + 1]
    # A peak on the slope down from lag 0 is noise: a period brings the correlation below zero first.
    has_dipped = np.minimum.accumulate(r_TL, axis=1)[:, lags] < 0
    is_peak = (here > before) & (here >= after) & has_dipped
    score = np.where(is_peak, here - OCTAVE_COST * np.log2(lags), -np.inf)
    best = score.argmax(axis=1)[:, None]
    left, peak, right = (np.take_along_axis(side, best, axis=1)[:, 0] for side in (before, here, after))
    bend = left - 2 * peak + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    height = peak - 0.25 * (left - right) * shift
    found = is_peak.any(axis=1)
    return Pitch(
        RATE_HZ / (lags[best[:, 0]] + np.clip(shift, -0.5, 0.5)), np.where(found, np.clip(height, 0, 1), 0.0)
    )


def _smooth(pitch: Pitch) -> Pitch:
    """Each track by the median of its neighbours."""
    half = SMOOTHING_FRAMES // 2
    tracks = [
        np.lib.stride_tricks.sliding_window_view(np.pad(track, half, mode="edge"), SMOOTHING_FRAMES)
        for track in pitch
    ]
    return Pitch(*(np.median(track, axis=1) for track in tracks))


def _shape(power_TF: Float[np.ndarray, "time frequency"], num_fft: int) -> list[Float[np.ndarray, "time"]]:
    """Tilt, alpha ratio, centroid and flatness of the spectrum between 50 Hz and 8 kHz."""
    hz_F = np.fft.rfftfreq(num_fft, 1 / RATE_HZ)
    used = hz_F >= 50
    power_TF, hz_F = power_TF[:, used] + TINY, hz_F[used]
    db_TF = 10 * np.log10(power_TF)
    low = power_TF[:, hz_F < 1000].sum(axis=1)
    high = power_TF[:, (hz_F >= 1000) & (hz_F < 5000)].sum(axis=1)
    return [
        db_TF @ _slope_weights(hz_F),
        10 * np.log10(low / high),
        power_TF @ hz_F / power_TF.sum(axis=1) / 1000,
        db_TF.mean(axis=1) - 10 * np.log10(power_TF.mean(axis=1)),
    ]


def _slope_weights(hz_F: Float[np.ndarray, "frequency"]) -> Float[np.ndarray, "frequency"]:
    """Weights whose dot product with a spectrum in dB is its least-squares slope per octave.

    Bins count by 1/f, so that every octave counts the same, from 100 Hz to 5 kHz.
    """
    importance = np.where((hz_F >= 100) & (hz_F <= 5000), 1 / hz_F, 0.0)
    octaves = np.log2(hz_F)
    centred = octaves - np.average(octaves, weights=importance)
    return importance * centred / np.sum(importance * centred**2)
