"""wav2vec 2.0 base: speech learned by telling the masked part from others.

Baevski et al. (2020), "wav2vec 2.0: a framework for self-supervised learning of speech representations",
arXiv 2006.11477.
"""

from typing import ClassVar

from blended.encoders.speech import Architecture, SpeechModel
from blended.encoders.speech_config import SpeechConfig
from blended.encoders.weights import hub_file

MODELS = {
    "wav2vec2": SpeechModel(
        Architecture("Wav2Vec2", 12, 768, True, 94_370_944),
        hub_file("facebook/wav2vec2-base", "pytorch_model.bin"),
    )
}


class Wav2Vec2Config(SpeechConfig):
    """Layers of 50 steps per second from sound at 16 kHz."""

    licence: ClassVar[str] = "Apache-2.0"
    models = MODELS
