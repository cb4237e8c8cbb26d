"""Non-verbal sounds by source and filter.

| kind   | spectrum, relative to breathing            | pitch        | movement of the level   |
|--------|--------------------------------------------|--------------|-------------------------|
| growl  | strong below 0.8 kHz and at 2 kHz, dark    | falls        | rough, 27 Hz            |
| gasp   | strong from 2.6 to 5 kHz, thin below 0.7   | rises most   | shivering, 11 Hz        |
| sob    | open vowel at 0.9 to 1.5 kHz               | rises        | bursts of "ha", 4.6 Hz  |

The weights of a performance scale all of it, so that a blend sounds in between. A voiced sound has a
glottal source with jitter and shimmer plus aspiration noise; an unvoiced one has noise only.
"""

import numpy as np
from scipy.signal import fftconvolve

from blended.data.demo.actors import COLOUR_HZ, Actor, Sound
from blended.data.demo.performance import VIDEO_RATE_HZ, Performance, smooth_noise
from blended.data.demo.signatures import Array

AUDIO_RATE_HZ = 16000

# (centre in Hz, width in octaves, gain in dB) of the bumps on the log spectrum, for weight 1.
SPECTRA: dict[str, tuple[tuple[float, float, float], ...]] = {
    "growl": ((430.0, 0.75, 9.0), (2000.0, 0.35, 6.0), (4200.0, 0.8, -9.0)),
    "gasp": ((380.0, 0.8, -8.0), (3600.0, 0.55, 11.0)),
    "sob": ((330.0, 0.5, -4.0), (1150.0, 0.5, 11.0), (2900.0, 0.4, -4.0)),
}
PITCH_SEMITONES = {"growl": -3.0, "gasp": 8.0, "sob": 4.0}
"""Change of pitch at the peak, for weight 1."""
RATTLE_HZ = {"growl": 27.0, "gasp": 11.0, "sob": 4.6}
"""The level moves up and down at this rate."""
RATTLE_DEPTH = {"growl": 0.8, "gasp": 0.6, "sob": 0.9}
"""For weight 1, from 0 (not at all) to 1 (down to silence)."""

FILTER_TAPS = 257
BANDWIDTH_OCTAVES = 0.28
LOUDNESS_DB_PER_WEIGHT = 3.0
"""A strong expression is louder than a weak one."""
LOUDNESS_NOISE_DB = 1.5


def synthesise(performance: Performance, actor: Actor, rng: np.random.Generator) -> Array:
    """The sound of one clip: samples in [-1, 1] at 16 kHz, as long as its pictures."""
    num_samples = performance.num_frames * AUDIO_RATE_HZ // VIDEO_RATE_HZ
    times_seconds = np.arange(num_samples) / AUDIO_RATE_HZ
    unfolded = performance.timeline.envelope(times_seconds, performance.lag_seconds / 2)
    weights = performance.voice_weights
    source = _source(performance.is_voiced, actor, weights, unfolded, times_seconds, rng)
    level = (0.05 + unfolded**1.3) * _rattle(weights, unfolded, times_seconds, rng)
    sound = fftconvolve(source * level, _impulse_response(actor.sound, weights), mode="same")
    sum_of_weights = float(weights.sum())
    loudness_db = actor.sound.loudness_db + LOUDNESS_DB_PER_WEIGHT * (sum_of_weights - 1)
    loudness_db += LOUDNESS_NOISE_DB * rng.standard_normal()
    hiss = _amplitude(actor.sound.hiss_db) * rng.standard_normal(num_samples)
    return np.clip(sound * (_amplitude(loudness_db) / np.sqrt(np.mean(sound**2))) + hiss, -1, 1)


def _amplitude(level_db: float) -> float:
    return 10 ** (level_db / 20)


def _source(
    is_voiced: bool,
    actor: Actor,
    weights: Array,
    unfolded: Array,
    times_seconds: Array,
    rng: np.random.Generator,
) -> Array:
    """Unit-variance excitation with a flat long-term spectrum tilt left to the filter."""
    noise = rng.standard_normal(len(times_seconds))
    if not is_voiced:
        return noise
    rise = weights @ (np.array([*PITCH_SEMITONES.values()]) + actor.timbre_K)
    wander = smooth_noise(rng, times_seconds, 3.0, 1)[:, 0]
    jitter = smooth_noise(rng, times_seconds, 70.0, 1)[:, 0]
    semitones = rise * unfolded + 0.8 * wander + 0.18 * jitter
    pitch_hz = np.clip(actor.sound.pitch_hz * 2 ** (semitones / 12), 60, 900)
    cycles = rng.random() + np.cumsum(pitch_hz) / AUDIO_RATE_HZ
    shimmer = 1 + 0.08 * smooth_noise(rng, times_seconds, 60.0, 1)[:, 0]
    breath = actor.sound.breathiness
    return (1 - breath) * _glottis(cycles) * shimmer + 0.6 * breath * noise


def _glottis(cycles: Array) -> Array:
    """Flow derivative, about unit variance: a slow opening and an abrupt closure in every cycle."""
    phase = cycles % 1
    opening = np.sin(np.pi * phase / 0.62) * (phase < 0.62)
    closing = np.exp(-((phase - 0.64) ** 2) / 0.0012)
    flow = 0.55 * opening - 2.6 * closing
    return (flow - 0.03) / 0.75


def _rattle(weights: Array, unfolded: Array, times_seconds: Array, rng: np.random.Generator) -> Array:
    """[time]: product of the movements of the level, each up to 1."""
    level = np.ones(len(times_seconds))
    for weight, rate_hz, depth in zip(weights, RATTLE_HZ.values(), RATTLE_DEPTH.values(), strict=True):
        wander = 0.08 * smooth_noise(rng, times_seconds, rate_hz / 2, 1)[:, 0]
        cycles = rng.random() + np.cumsum(rate_hz * (1 + wander)) / AUDIO_RATE_HZ
        dip = (0.5 + 0.5 * np.cos(2 * np.pi * cycles)) ** 0.8
        level = level * (1 - np.clip(depth * weight, 0, 0.92) * np.clip(unfolded, 0, 1) * dip)
    return level


def _impulse_response(sound: Sound, weights: Array) -> Array:
    """[tap]: linear-phase filter with the log spectrum of the actor plus the weighted patterns."""
    frequencies_hz = np.fft.rfftfreq(FILTER_TAPS - 1, 1 / AUDIO_RATE_HZ)
    octaves = np.log2(np.maximum(frequencies_hz, 40) / sound.formant_scale)
    gain_db = sound.tilt_db * np.maximum(octaves - np.log2(1000), -1.5)
    for formant_hz, peak_db in zip(sound.formants_hz, (13.0, 9.0, 7.0), strict=True):
        gain_db = gain_db + _bump(octaves, formant_hz, BANDWIDTH_OCTAVES, peak_db)
    for centre_hz, peak_db in zip(COLOUR_HZ, sound.colour_db, strict=True):
        gain_db = gain_db + _bump(octaves + np.log2(sound.formant_scale), centre_hz, 0.45, peak_db)
    for weight, bumps in zip(weights, SPECTRA.values(), strict=True):
        for centre_hz, width, peak_db in bumps:
            gain_db = gain_db + weight * _bump(octaves, centre_hz, width, peak_db)
    # No rumble below the voice, nothing at the edge of the band, where codecs differ.
    gain_db = gain_db - 30 * (frequencies_hz < 70) - 12 * (frequencies_hz > 7200)
    impulse = np.roll(np.fft.irfft(10 ** (gain_db / 20)), (FILTER_TAPS - 1) // 2)
    return np.append(impulse, impulse[0]) * np.hanning(FILTER_TAPS)


def _bump(octaves: Array, centre_hz: float, width_octaves: float, peak_db: float) -> Array:
    return peak_db * np.exp(-0.5 * ((octaves - np.log2(centre_hz)) / width_octaves) ** 2)
