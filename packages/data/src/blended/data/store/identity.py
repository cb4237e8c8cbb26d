"""What a set of features was made from and with: equal identities mean interchangeable features."""

import json
from dataclasses import asdict, dataclass

from blended.data.errors import InputError


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that decides the values in a store."""

    encoder: str
    """The encoder's config as JSON, its `name` included."""
    weights: str
    """SHA-256 of the weights file; `random` for untrained networks, `none` for encoders without weights."""
    corpus: str
    """Hash of the corpus whose clips were encoded."""
    version: str
    """Of the code that made the features: distribution, and the encoder's files where it has some."""

    def __post_init__(self) -> None:
        """Raises InputError unless `encoder` is a JSON object; rewrites it with sorted keys."""
        try:
            config = json.loads(self.encoder)
        except json.JSONDecodeError as error:
            raise InputError(
                f"an encoder's identity must be its config as JSON, got {self.encoder!r}"
            ) from error
        if not isinstance(config, dict):
            raise InputError(f"an encoder's identity must be a JSON object, got {self.encoder!r}")
        object.__setattr__(self, "encoder", json.dumps(config, sort_keys=True))

    @property
    def encoder_name(self) -> str:
        """The `name` of the config; empty if it has none."""
        return str(json.loads(self.encoder).get("name", ""))

    def to_json(self) -> str:
        """A JSON object with sorted keys; `from_json` is the inverse."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Identity":
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))

    def differences(self, expected: "Identity") -> list[str]:
        """In words, what this identity has other than the expected one; empty if they are equal.

        >>> made = Identity('{"name": "logmel", "num_bins": 80}', "none", "c1", "0.1.0")
        >>> made.differences(Identity('{"name": "logmel", "num_bins": 64}', "none", "c2", "0.1.0"))
        ['encoder num_bins is 80, expected 64', "corpus is 'c1', expected 'c2'"]
        """
        mine, theirs = json.loads(self.encoder), json.loads(expected.encoder)
        pairs = [(f"encoder {key}", mine.get(key), theirs.get(key)) for key in sorted({*mine, *theirs})]
        pairs += [
            ("weights", self.weights, expected.weights),
            ("corpus", self.corpus, expected.corpus),
            ("version", self.version, expected.version),
        ]
        return [
            f"{field} is {made!r}, expected {wanted!r}" for field, made, wanted in pairs if made != wanted
        ]
