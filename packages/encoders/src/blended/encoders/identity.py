"""What features answer for: an edit of an encoder, or of what it is built of, makes its features stale."""

from importlib.metadata import version
from pathlib import Path

from blended.data import code_versions
from blended.data.code_versions import Sources
from blended.data.store import Identity
from blended.encoders.encoder import EncoderConfig
from blended.encoders.weights import check_weights, checksum

FACES = "blended.encoders.faces"
POOLING = ("blended.encoders.pooling:pool_store", "blended.encoders.pooling:read_layers")


def code_version(config: EncoderConfig, sources: Sources | None = None) -> str:
    """Version of the distribution, and a hash of the definitions that the encoder's config leads to.

    Those that find faces count where pictures are cut down to them, with the version of the detector.
    `sources` is the code that is installed, unless another copy is given.
    """
    cut = getattr(config, "faces", None) is not None
    made = code_versions.code_version([type(config)], without=() if cut else (FACES,), sources=sources)
    detector = f"+scikit-image-{version('scikit-image')}" if cut else ""
    return f"{version('blended-encoders')}+{made}{detector}"


def pooling_version(sources: Sources | None = None) -> str:
    """The same of the code that makes one vector of a clip's features."""
    return f"{version('blended-encoders')}+{code_versions.code_version(POOLING, sources=sources)}"


def identity_of(config: EncoderConfig, corpus_hash: str, weights: Path | None = None) -> Identity:
    """What a store of this encoder must say about itself; for `FeatureStore(folder, expected)`.

    Raises InputError for a weighted encoder without weights (`RANDOM` asks for an untrained one).
    """
    made_with = checksum(check_weights(config, weights)) if config.weighted else "none"
    return Identity(config.model_dump_json(), made_with, corpus_hash, code_version(config))
