"""Where trained weights come from, where they lie, and which file an encoder is built with.

The folder of weights is an argument everywhere: it says where a file is, not what it is. What a feature store
remembers is the checksum of the file.
"""

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from blended.data.errors import InputError, unknown_name
from blended.encoders.encoder import RANDOM, EncoderConfig, Output

FOLDER_VARIABLE = "BLENDED_WEIGHTS"
"""Environment variable that names the folder of weights."""

UNTRAINED = "random"
"""What an identity says instead of a checksum for an untrained network."""

SNAPSHOT_FILES = ("*.safetensors", "*.bin", "*.json")
"""What of a repository's folder decides the network and its preprocessing."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a publisher hands out the weights of an encoder."""

    page: str
    """What a person reads: the model's page."""
    folder: str
    """Within the folder of weights; encoders that share a file share it."""
    url: str = ""
    """Address of the file; empty where it has to be asked for by hand, or for a whole repository."""
    repository: str = ""
    """Of the Hugging Face hub, for an encoder that needs several of its files."""
    sha256: str = ""
    """Of the file, or the beginning of it, where the publisher states it beside the address."""
    file: str = ""
    """Name of a file that has no address."""

    @property
    def filename(self) -> str:
        """Name of the file on disk; empty for a whole repository."""
        return self.file or self.url.rpartition("/")[2]


@runtime_checkable
class Pretrained(Protocol):
    """What the config of an encoder with a known network says beside an `EncoderConfig`."""

    @property
    def source(self) -> Source:
        """Where its weights come from."""
        ...

    @property
    def output(self) -> Output:
        """What its features look like."""
        ...

    @property
    def num_parameters(self) -> int:
        """Of the part of the network that is run."""
        ...


def hub_file(repository: str, filename: str) -> Source:
    """A file of a repository of the Hugging Face hub."""
    page = f"https://huggingface.co/{repository}"
    return Source(page, repository.replace("/", "--"), f"{page}/resolve/main/{filename}")


def default_folder(environment: Mapping[str, str]) -> Path:
    """`BLENDED_WEIGHTS`, or `blended/weights` in the user's cache.

    >>> default_folder({"BLENDED_WEIGHTS": "/big/disk"}).as_posix()
    '/big/disk'
    """
    if named := environment.get(FOLDER_VARIABLE):
        return Path(named)
    cache = environment.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "blended" / "weights"


def place(source: Source, folder: Path) -> Path:
    """Where weights belong in the folder of weights: a file, or a folder for a whole repository."""
    return folder / source.folder / source.filename if source.filename else folder / source.folder


def found(config: EncoderConfig, folder: Path) -> Path | None:
    """The weights of an encoder in the folder; None if they are not there."""
    if not isinstance(config, HasSource):
        return None
    path = place(config.source, folder)
    return path if path.is_file() or (path / "config.json").is_file() else None


@runtime_checkable
class HasSource(Protocol):
    """The part of `Pretrained` that encoders of any architecture have too."""

    @property
    def source(self) -> Source:
        """Where its weights come from."""
        ...


def resolve(
    configs: Iterable[EncoderConfig],
    folder: Path,
    *,
    given: Mapping[str, Path] | None = None,
    random: bool = False,
) -> dict[str, Path]:
    """Encoder name -> its weights, for every weighted encoder: what `extract` and `build` take.

    A file that is given wins; `RANDOM` in its place, or `random` for all others, asks for an untrained
    network; else the weights are looked for in the folder. Raises InputError for weights that are not there,
    in one sentence that says which, where they were looked for and how to get them, and for a file that is
    given for an encoder without weights.
    """
    weighted = {config.name: config for config in configs if config.weighted}
    files = {**(given or {})}
    if unknown := sorted({*files} - {*weighted}):
        if not weighted:
            raise InputError(
                f"weights were given for {unknown[0]!r}, but no encoder here has any: leave it out"
            )
        raise unknown_name("encoder with weights", unknown[0], weighted)
    for name, config in weighted.items():
        if name in files:
            if files[name] != RANDOM and not files[name].exists():
                raise InputError(
                    f"the weights given for {name} are not there: {files[name]}; correct the path"
                )
        elif random:
            files[name] = RANDOM
        elif (path := found(config, folder)) is not None:
            files[name] = path
        else:
            raise missing_weights(config, folder)
    return files


def missing_weights(config: EncoderConfig, folder: Path | None = None) -> InputError:
    """The error for an encoder without its weights."""
    name = config.name
    source = config.source if isinstance(config, HasSource) else Source("", name)
    file = source.filename or (f"the files of {source.repository}" if source.repository else "a file")
    where = f"looked for {place(source, folder)}" if folder else "no file was given"
    get = f"get them with `blended encoders fetch {name}`"
    if not source.url and not source.repository:
        get = f"its authors hand them out by hand: {source.page}"
    return InputError(
        f"encoder {name} has no weights here ({file}; {where}): {get}, name yours with "
        f"`--weights {name}=FILE`, or ask for an untrained network with `--random-weights`"
    )


def check_weights(config: EncoderConfig, weights: Path | None) -> Path:
    """The weights that a config is built with; raises InputError if there are none.

    Every weighted encoder's `build` begins with this: an untrained network is never built by accident.
    """
    if weights is None:
        raise missing_weights(config)
    return weights


def checksum(weights: Path) -> str:
    """SHA-256 of a weights file, or over the files of a repository's folder; `random` for `RANDOM`.

    Raises InputError if it is not there.
    """
    if weights == RANDOM:
        return UNTRAINED
    if not weights.exists():
        raise InputError(f"the weights {weights} are not there: correct the path or fetch them again")
    files = [weights]
    if weights.is_dir():
        files = sorted(path for pattern in SNAPSHOT_FILES for path in weights.glob(pattern))
    if weights.is_file():
        return _file_checksum(weights, weights.stat().st_size, weights.stat().st_mtime_ns)
    total = hashlib.sha256()
    for path in files:
        digest = _file_checksum(path, path.stat().st_size, path.stat().st_mtime_ns)
        total.update(f"{path.name} {digest}\n".encode())
    return total.hexdigest()


@functools.lru_cache(maxsize=256)
def _file_checksum(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def forbid_random(weights_of: Mapping[str, str], allowed: bool | Collection[str] = False) -> None:
    """Raises InputError if features of an untrained network would be trained on.

    `weights_of` maps the name of each feature set to the `weights` of its store's identity. `allowed` is True
    for all, or the names that may be.
    """
    if allowed is True:
        return
    permitted = set[str]() if allowed is False else {*allowed}
    refused = sorted(
        name for name, weights in weights_of.items() if weights == UNTRAINED and name not in permitted
    )
    if refused:
        raise InputError(
            f"the features of {', '.join(refused)} were made by an untrained network (random weights), which "
            f"is for tests and benchmarks: extract them again with trained weights, or allow it with "
            f"--allow-random"
        )
