"""Names: of an encoder that holds the name of a model, of its layers, of what a recipe takes from its store.

`timm:resnet50` and `hf:facebook/dinov2-base` are how people say them; `timm--resnet50` and
`hf--facebook--dinov2-base` are how they are kept, because a feature store's folder has the encoder's name.
Neither library allows two hyphens in a row in its own names, so both ways lead back.

Layers of a speech network are numbered as in s3prl and transformers: 0 is what enters the first transformer
block, k is what the k-th block puts out, and the last one is the network's output.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from blended.data.errors import InputError, unknown_name

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


SEPARATOR = "@"
"""Between the name of a feature set and its layers."""

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def layer_range(text: str | int, num_layers: int) -> tuple[str, ...]:
    """The layers that "9", "6-12", "last" or "all" stand for, in a network of `num_layers` blocks.

    Raises InputError for anything else, and for layers that the network does not have.

    >>> layer_range("10-12", 12), layer_range("last", 12)
    (('10', '11', '12'), ('12',))
    """
    words = {"all": f"0-{num_layers}", "last": str(num_layers)}
    given = words.get(str(text), str(text))
    match = _RANGE.fullmatch(given)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not first <= last <= num_layers:
        raise InputError(
            f"layers {text!r}: expected one layer (9), a range (6-12), last or all, between 0 and "
            f"{num_layers}"
        )
    return tuple(str(number) for number in range(first, last + 1))


def canonical(layers: Sequence[str]) -> str:
    """The one way in which a config writes consecutive layers.

    >>> canonical(["6", "7"]), canonical(["9"])
    ('6-7', '9')
    """
    return layers[0] if len(layers) == 1 else f"{layers[0]}-{layers[-1]}"


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """What a recipe means by `wavlm-large@6-12`."""

    name: str
    """Of the feature store."""
    layers: str | None = None
    """As written; None for the last layer that is stored."""

    def chosen(self, stored: Sequence[str]) -> tuple[str, ...]:
        """The layers to average, of those that a store has; raises InputError with what it has."""
        return chosen_layers(self.layers, stored)


def parse_feature_reference(text: str) -> FeatureReference:
    """`wavlm-large` or `wavlm-large@9`, `wavlm-large@6-12`, `wavlm-large@all`; raises InputError.

    >>> parse_feature_reference("wavlm-large@6-12")
    FeatureReference(name='wavlm-large', layers='6-12')
    """
    name, found, layers = text.partition(SEPARATOR)
    if not name or (found and not layers) or SEPARATOR in layers:
        raise InputError(
            f"features {text!r}: expected a name, or a name and its layers such as wavlm-large{SEPARATOR}9 "
            f"or wavlm-large{SEPARATOR}6-12"
        )
    return FeatureReference(name, layers or None)


def chosen_layers(layers: str | None, stored: Sequence[str]) -> tuple[str, ...]:
    """The stored layers that a reference's layers stand for.

    None is the last one, `all` is every one, a range has to be stored whole. Raises InputError.

    >>> chosen_layers("6-7", ["5", "6", "7"]), chosen_layers(None, ["5", "6", "7"])
    (('6', '7'), ('7',))
    """
    if layers is None:
        return (stored[-1],)
    if layers == "all":
        return tuple(stored)
    if layers in stored:
        return (layers,)
    match = _RANGE.fullmatch(layers)
    if match is None or match[2] is None:
        raise unknown_name("layer", layers, stored)
    wanted = [str(number) for number in range(int(match[1]), int(match[2]) + 1)]
    if missing := [layer for layer in wanted if layer not in stored]:
        raise InputError(
            f"layers {layers} were asked for, but {missing[0]} is not stored; there are {', '.join(stored)}: "
            f"choose among these or extract the encoder with more layers"
        )
    if not wanted:
        raise InputError(f"layers {layers!r}: expected the lower one first, such as 6-12")
    return tuple(wanted)
