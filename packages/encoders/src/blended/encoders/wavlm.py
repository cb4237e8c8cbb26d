"""WavLM: speech with noise and other speakers, learned by masked prediction.

Chen et al. (2022), "WavLM: large-scale self-supervised pre-training for full stack speech processing",
arXiv 2110.13900.
"""

from typing import ClassVar

from blended.encoders.speech import LARGE, Architecture, SpeechModel
from blended.encoders.speech_config import SpeechConfig
from blended.encoders.weights import hub_file

MODELS = {
    "wavlm-base": SpeechModel(
        Architecture("WavLM", 12, 768, False, 94_381_168),
        hub_file("microsoft/wavlm-base", "pytorch_model.bin"),
    ),
    "wavlm-large": SpeechModel(
        Architecture("WavLM", 24, 1024, True, 315_452_096, LARGE),
        hub_file("microsoft/wavlm-large", "pytorch_model.bin"),
    ),
}


class WavLMConfig(SpeechConfig):
    """Layers of 50 steps per second from sound at 16 kHz."""

    licence: ClassVar[str] = "CC-BY-SA-3.0 (microsoft/UniSpeech)"
    models = MODELS
