"""Encoders: audio and video into features, pooling, and the loop that fills the feature stores.

Read `encoder.py`, then any encoder without a network (`logmel.py`, `prosody.py`, `egemaps.py`, `motion.py`,
`face.py`) and one with (`speech.py`, `clip.py` and `pictures.py`, `videomae2.py`, `hicmae.py`, `hub.py`),
`weights.py` for where trained weights lie, then `one_file.py`, `shards.py` and `extract.py`. Importing this
package loads no network library.
"""

from blended.encoders.encoder import (
    RANDOM,
    AudioStream,
    AudioVisualStream,
    Encoder,
    EncoderConfig,
    VideoStream,
)
from blended.encoders.extract import Summary, extract
from blended.encoders.identity import identity_of
from blended.encoders.names import parse_feature_reference
from blended.encoders.pooling import items_of_store, pool, pool_store, pooled_columns
from blended.encoders.table import ENCODERS, encoder_config
from blended.encoders.weights import forbid_random

__all__ = [
    "ENCODERS",
    "RANDOM",
    "AudioStream",
    "AudioVisualStream",
    "Encoder",
    "EncoderConfig",
    "Summary",
    "VideoStream",
    "encoder_config",
    "extract",
    "forbid_random",
    "identity_of",
    "items_of_store",
    "parse_feature_reference",
    "pool",
    "pool_store",
    "pooled_columns",
]
