"""Downloading weights: whole or not at all, continued after an interruption, checked.

A file grows under a temporary name beside its place. A broken connection is tried again, from where it broke;
so is a killed command, when it is called again. What arrives is compared with the checksum that the publisher
states (in our table, or the hub in its answer) before it gets its name. A repository is fetched so, file by
file: the hub's own library (2.4) forgets a file that was cut off, and compares no checksum.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from blended.data.errors import InputError
from blended.encoders.weights import SNAPSHOT_FILES, Source, hub_file, place

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes in all, None where nobody says."""

HUB = "https://huggingface.co"
ATTEMPTS = 6
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 1 << 16
"""What a broken connection loses at most."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Hub:
    """How the Hugging Face hub is reached; mirrors and private models need other values."""

    endpoint: str = HUB
    token: str = ""
    """For models whose licence has to be accepted; sent to the endpoint only."""

    @property
    def headers(self) -> dict[str, str]:
        """What the endpoint is asked with."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def fetch(
    name: str,
    source: Source,
    folder: Path,
    *,
    log: Callable[[str], None],
    progress: Progress,
    hub: Hub | None = None,
    wait_seconds: float = FIRST_WAIT_SECONDS,
) -> Path:
    """Downloads the weights of the encoder `name` into their place in the folder; returns it.

    What is there already is not downloaded again. `wait_seconds` pass before the second attempt, twice as
    many before each one that follows. Raises InputError if there is no address, the server refuses or does
    not have the file, the connection keeps breaking (what arrived is kept), or the checksum is wrong (then
    nothing is kept).
    """
    target = place(source, folder)
    if not source.url and not source.repository:
        raise InputError(
            f"the weights of {name} have no address to download from, their authors hand them out by hand: "
            f"get them from {source.page} and save them as {target}, or name them with --weights {name}=FILE"
        )
    if (target.is_file() and source.filename) or (target / "config.json").is_file():
        log(f"{name}: {target} is here already")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    reached = hub or Hub()
    with FileLock(target.parent / f".{target.name}.lock"):
        if target.exists():  # Another process was faster.
            return target
        if source.repository:
            return _fetch_repository(name, source, target, reached, log, progress, wait_seconds)
        return _fetch_file(name, source, target, reached, log, progress, wait_seconds)


def _fetch_file(
    name: str,
    source: Source,
    target: Path,
    hub: Hub,
    log: Callable[[str], None],
    progress: Progress,
    wait_seconds: float,
) -> Path:
    import requests
    import tenacity

    url = source.url.replace(HUB, hub.endpoint, 1) if source.url.startswith(HUB) else source.url
    headers = hub.headers if url.startswith(hub.endpoint) else {}
    partial = target.with_name(f".{target.name}.part")
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((requests.RequestException, UnfinishedError)),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(wait_seconds, max=LONGEST_WAIT_SECONDS),
        before_sleep=lambda state: log(f"{name}: {_reason(state)}; trying again"),
        reraise=True,
    )
    try:
        stated = attempts(_continue, url, partial, headers, progress, source.page)
    except (requests.RequestException, UnfinishedError) as error:
        have = partial.stat().st_size if partial.exists() else 0
        raise InputError(
            f"the download of {url} failed {ATTEMPTS} times ({_short(error)}): {have / 1e6:.1f} MB of it are "
            f"kept; check the connection and run `blended encoders fetch {name}` again, which continues"
        ) from error
    _check(partial, source.sha256 or stated, url, log)
    partial.replace(target)
    log(f"{name}: {target}")
    return target


class UnfinishedError(Exception):
    """The server closed the connection before the end, or is out of order for a moment."""


def _continue(url: str, partial: Path, headers: Mapping[str, str], progress: Progress, page: str) -> str:
    """One attempt to get what is missing of the file; returns the checksum that the server states, or ""."""
    import requests

    tag = partial.with_name(f"{partial.name}.tag")
    start = partial.stat().st_size if partial.exists() else 0
    asked = {**headers, "Accept-Encoding": "identity"}
    if start:
        # If the file has changed since, the server starts anew.
        asked |= {"Range": f"bytes={start}-"}
        if tag.exists():
            asked["If-Range"] = tag.read_text()
    with requests.get(url, headers=asked, stream=True, timeout=TIMEOUT_SECONDS) as response:
        _check_status(response, url, page)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink()
            raise UnfinishedError("the file on the server has changed")
        start = start if response.status_code == requests.codes.partial_content else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        if validator := response.headers.get("ETag", ""):
            tag.write_text(validator)
        with partial.open("ab" if start else "wb") as file:
            progress(start, total)
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                progress(file.tell(), total)
            end = file.tell()
    if total is not None and end != total:
        raise UnfinishedError(f"the connection broke after {end} of {total} bytes")
    tag.unlink(missing_ok=True)
    return _stated_checksum([*response.history, response])


def _check_status(response: "requests.Response", url: str, page: str) -> None:
    code = response.status_code
    if code in (401, 403):
        raise InputError(
            f"{url} may not be downloaded without permission ({code}): accept the licence at {page} and set "
            f"HF_TOKEN, or get the file by hand"
        )
    if code in (404, 410):
        raise InputError(
            f"{url} does not exist ({code}): look for the file at {page}, download it and name it with "
            f"--weights"
        )
    if code >= 500 or code == 429:
        raise UnfinishedError(f"the server answered {code}")
    if code >= 400 and code != 416:
        raise InputError(f"{url} was refused with {code} {response.reason}: see {page}")


def _stated_checksum(responses: "list[requests.Response]") -> str:
    """The hub states the SHA-256 of large files beside the address that it forwards to."""
    for response in responses:
        stated = response.headers.get("X-Linked-ETag", "").strip('"')
        if _SHA256.fullmatch(stated):
            return stated
    return ""


def _check(partial: Path, stated: str, url: str, log: Callable[[str], None]) -> None:
    with partial.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not stated and partial.suffixes[-2:] != [".json", ".part"]:  # The hub states none for small files.
        log(f"{url}: the publisher states no checksum; the SHA-256 of what came is {found}")
    elif stated and not found.startswith(stated.lower()):
        partial.unlink()
        raise InputError(
            f"{url}: the SHA-256 of what came is {found[:16]}..., expected {stated[:16]}...: it was damaged "
            f"on the way or replaced, and is deleted; fetch it again"
        )


def _fetch_repository(
    name: str,
    source: Source,
    target: Path,
    hub: Hub,
    log: Callable[[str], None],
    progress: Progress,
    wait_seconds: float,
) -> Path:
    """Config, processor and weights of a repository, file by file."""
    growing = target.with_name(f".{target.name}.part")
    growing.mkdir(exist_ok=True)
    for file in _listed(source, hub):
        if not (growing / file).is_file():
            one = replace(hub_file(source.repository, file), page=source.page)
            _fetch_file(name, one, growing / file, hub, log, progress, wait_seconds)
    if not (growing / "config.json").is_file():
        raise InputError(
            f"the repository {source.repository} holds no config.json: transformers cannot load it"
        )
    growing.replace(target)
    log(f"{source.repository}: {target}")
    return target


def _listed(source: Source, hub: Hub) -> list[str]:
    """The files of `SNAPSHOT_FILES` in a repository; of weights, safetensors where there are some."""
    import requests

    url = f"{hub.endpoint}/api/models/{source.repository}"
    try:
        answer = requests.get(url, headers=hub.headers, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        files = [str(file["rfilename"]) for file in answer.json()["siblings"]]
    except (requests.RequestException, KeyError, TypeError) as error:
        raise InputError(
            f"the repository {source.repository} cannot be fetched from {hub.endpoint} ({_short(error)}): "
            f"check its name and the connection, accept its licence at {source.page} where it has one and "
            f"set HF_TOKEN; what arrived is kept"
        ) from error
    safe = any(name.endswith(".safetensors") for name in files)
    patterns = [pattern for pattern in SNAPSHOT_FILES if not (safe and pattern == "*.bin")]
    return [name for name in files if "/" not in name and any(fnmatch(name, given) for given in patterns)]


def _reason(state: Any) -> str:
    return _short(state.outcome.exception())


def _short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:150]
