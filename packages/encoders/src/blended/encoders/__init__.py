"""Encoders: audio and video into features, pooling, and the loop that fills the feature stores.

Read `encoder.py`, then any encoder (`logmel.py`, `prosody.py`, `egemaps.py`, `motion.py`, `face.py`),
then `shards.py` and `extract.py`. Importing this package loads no network library.
"""

from blended.encoders.encoder import AudioStream, Encoder, EncoderConfig, VideoStream
from blended.encoders.extract import Summary, extract, identity_of
from blended.encoders.pooling import pool, pool_store, pooled_columns
from blended.encoders.table import ENCODERS, encoder_config

__all__ = [
    "ENCODERS",
    "AudioStream",
    "Encoder",
    "EncoderConfig",
    "Summary",
    "VideoStream",
    "encoder_config",
    "extract",
    "identity_of",
    "pool",
    "pool_store",
    "pooled_columns",
]
