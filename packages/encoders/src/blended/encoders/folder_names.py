"""Names of encoders that hold the name of a model, and the folders that they become.

`timm:resnet50` and `hf:facebook/dinov2-base` are how people say them; `timm--resnet50` and
`hf--facebook--dinov2-base` are how they are kept, because a feature store's folder has the encoder's name.
Neither library allows two hyphens in a row in its own names, so both ways lead back.
"""

import re

PREFIXES = ("timm", "hf")

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def folder_name(name: str, prefix: str = "") -> str:
    """The name as it is kept; one without a model in it stays as it is.

    Raises ValueError for a name with other characters than letters, digits, dots, hyphens and underscores in
    its parts, and for one without the prefix.

    >>> folder_name("hf:facebook/dinov2-base"), folder_name("wavlm-large")
    ('hf--facebook--dinov2-base', 'wavlm-large')
    """
    parts = re.split(r":|/|--", name)
    allowed = {"timm": 2, "hf": 3}.get(prefix, 3)
    if not all(_SAFE.fullmatch(part) for part in parts) or len(parts) > allowed:
        raise ValueError(f"{name!r} is no name of a model: expected {prefix or 'hf'}:owner/model")
    if prefix and (parts[0] != prefix or len(parts) != allowed):
        example = "timm:resnet50" if prefix == "timm" else "hf:facebook/dinov2-base"
        raise ValueError(f"{name!r}: expected a name such as {example}")
    return "--".join(parts)


def spoken_name(name: str) -> str:
    """The name as people say it.

    >>> spoken_name("hf--facebook--dinov2-base"), spoken_name("wavlm-large")
    ('hf:facebook/dinov2-base', 'wavlm-large')
    """
    prefix, found, rest = name.partition("--")
    return f"{prefix}:{rest.replace('--', '/')}" if found and prefix in PREFIXES else name
