"""What a pre-training checkpoint says of itself, beside its weights."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

CORPORA_KEY = "pretrained_on"
"""Metadata key: JSON list of the corpora whose unlabelled clips, of all folds, were learned from."""


def pretrained_on(path: Path) -> tuple[str, ...]:
    """Corpora that a checkpoint of `blended pretrain` names; none for other files."""
    if path.suffix != ".safetensors":
        return ()
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(CORPORA_KEY, "[]")
    except SafetensorError:
        return ()  # Whoever reads the weights says what is wrong with the file.
    return tuple(str(name) for name in json.loads(text))
