"""eGeMAPS: the 88 acoustic parameters of Eyben et al. (2016), IEEE Trans. Affective Computing 7(2).

Computed by openSMILE, whose licence allows research and education and forbids commercial use. It is
therefore an extra (`pip install "blended-encoders[egemaps]"`), imported here only.
"""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict

from blended.data.errors import InputError
from blended.data.media import Waveform
from blended.encoders.encoder import AudioStream, ClipEncoder, Modality
from blended.encoders.sound import at_least

RATE_HZ = 16000

# Below this openSMILE has too few frames for its functionals and answers with NaN.
SHORTEST_SECONDS = 0.5


class EGeMAPSConfig(BaseModel):
    """eGeMAPS v02: 88 functionals per clip, or its 25 low-level descriptors 100 times per second."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modality: ClassVar[Modality] = "audio"
    weighted: ClassVar[bool] = False
    licence: ClassVar[str] = "research and education only, no commercial use (openSMILE, audEERING)"

    name: Literal["egemaps"] = "egemaps"
    level: Literal["functionals", "lld"] = "functionals"
    """One vector per clip, or its low-level descriptors over time."""

    def build(self, *, device: str = "cpu", weights: Path | None = None) -> ClipEncoder[Waveform]:
        """An encoder of sound at 16 kHz; raises InputError if openSMILE is not installed."""
        smile = _smile(self.level)
        return ClipEncoder(
            stream=AudioStream(RATE_HZ),
            columns=tuple(smile.feature_names),
            rate_hz=0.0 if self.level == "functionals" else 100.0,
            function=partial(_parameters, smile=smile),
            dtype="float32",  # Formants in Hz and slopes near zero side by side: too wide for half precision.
        )


def _smile(level: str) -> Any:
    try:
        import opensmile
    except ImportError as error:
        raise InputError(
            "the encoder egemaps needs openSMILE, which is for research and education only and not installed "
            'by default: pip install "blended-encoders[egemaps]", or choose the encoder prosody'
        ) from error
    levels = {
        "functionals": opensmile.FeatureLevel.Functionals,
        "lld": opensmile.FeatureLevel.LowLevelDescriptors,
    }
    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, levels[level])


def _parameters(waveform: Waveform, smile: Any) -> Float32[np.ndarray, "time parameter"]:
    """[1, 88] or [time, 25]; a clip shorter than half a second is padded with silence."""
    samples = at_least(waveform.values, round(SHORTEST_SECONDS * RATE_HZ))
    return smile.process_signal(samples, RATE_HZ).to_numpy(np.float32)
