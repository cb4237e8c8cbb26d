"""Kaldi-compatible log mel filter bank: what most speech networks take as input."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict, Field

from blended.data.media import Waveform
from blended.encoders.encoder import AudioStream, ClipEncoder, Modality
from blended.encoders.sound import at_least

RATE_HZ = 16000
WINDOW_MS, HOP_MS = 25.0, 10.0

# Kaldi reads 16-bit integers; its energy floor and everybody's normalisation constants assume that scale.
KALDI_SCALE = 32768.0


class LogMelConfig(BaseModel):
    """Natural logarithms of mel band energies, 100 per second (Kaldi's `compute-fbank-feats`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "BSD-2-Clause (torchaudio)"

    name: Literal["logmel"] = "logmel"
    num_bins: int = Field(default=64, ge=8, le=128)
    """Mel bands between 20 Hz and 8 kHz."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Waveform]:
        """An encoder of sound at 16 kHz into [time, num_bins]."""
        import_module("torchaudio.compliance.kaldi")  # Now, before the loop limits threads.
        return ClipEncoder(
            stream=AudioStream(RATE_HZ),
            columns=tuple(f"mel_{number:03d}" for number in range(self.num_bins)),
            rate_hz=1000 / HOP_MS,
            function=partial(filter_bank, num_bins=self.num_bins),
        )


def filter_bank(waveform: Waveform, num_bins: int) -> Float32[np.ndarray, "time bin"]:
    """Log mel energies in Hann windows of 25 ms every 10 ms, without dither.

    A clip shorter than a window is padded to one. Source: torchaudio's port of Kaldi's `feature-fbank.cc`.
    """
    import torch
    from torchaudio.compliance import kaldi

    samples = at_least(waveform.values, round(RATE_HZ * WINDOW_MS / 1000)) * np.float32(KALDI_SCALE)
    return kaldi.fbank(
        torch.from_numpy(samples)[None],
        num_mel_bins=num_bins,
        sample_frequency=RATE_HZ,
        frame_length=WINDOW_MS,
        frame_shift=HOP_MS,
        window_type="hanning",
        dither=0.0,
    ).numpy()
