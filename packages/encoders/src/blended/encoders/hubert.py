"""HuBERT large: speech learned by masked prediction of clusters, from Libri-Light (ll60k).

Hsu et al. (2021), "HuBERT: self-supervised speech representation learning by masked prediction of hidden
units", arXiv 2106.07447.
"""

from typing import ClassVar

from blended.encoders.speech import LARGE, Architecture, SpeechModel
from blended.encoders.speech_config import SpeechConfig
from blended.encoders.weights import hub_file

MODELS = {
    "hubert-large": SpeechModel(
        Architecture("Hubert", 24, 1024, True, 315_434_112, LARGE),
        hub_file("facebook/hubert-large-ll60k", "pytorch_model.bin"),
    )
}


class HubertConfig(SpeechConfig):
    """Layers of 50 steps per second from sound at 16 kHz."""

    licence: ClassVar[str] = "Apache-2.0"
    models = MODELS
