"""Which code made features: an edit of an encoder, or of what it is built of, makes its features stale."""

from importlib.metadata import version

from blended.data import code_versions
from blended.data.code_versions import Sources
from blended.encoders.encoder import EncoderConfig

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
