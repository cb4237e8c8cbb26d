"""Downloads against a server on this machine that breaks connections, lies, refuses and forgets."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blended.data import InputError
from blended.encoders.fetching import ATTEMPTS, Hub, fetch
from blended.encoders.weights import Source, hub_file, place

CONTENT = bytes(range(256)) * 12000  # About 3 MB.
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WEIGHTS = b"w" * 600_000


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str = '"first"'
    break_after: list[int] = field(default_factory=list[int])
    """Bytes of the body after which the next answers break off."""
    codes: list[int] = field(default_factory=list[int])
    """Codes of the next answers, instead of content."""
    ranges: list[str] = field(default_factory=list[str])
    tokens: list[str] = field(default_factory=list[str])
    states_checksum: str = ""


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Silent."""

        def do_HEAD(self) -> None:
            self.do_GET(body=False)

        def do_GET(self, body: bool = True) -> None:
            behaviour.tokens.append(self.headers.get("Authorization", ""))
            if self.path.startswith(("/api/", "/owner/")):
                self.repository(body)
            elif behaviour.codes:
                self.answer(behaviour.codes.pop(0), b"", {})
            elif self.path.endswith("/resolve/main/forwarded.bin"):
                where = {"Location": "/file.bin", "X-Linked-ETag": f'"{behaviour.states_checksum}"'}
                self.answer(302, b"", where)
            else:
                self.file()

        def file(self) -> None:
            asked = self.headers.get("Range", "")
            behaviour.ranges.append(asked)
            same = self.headers.get("If-Range", behaviour.etag) == behaviour.etag
            start = int(re.findall(r"\d+", asked)[0]) if asked and same else 0
            if start > len(behaviour.content):
                self.answer(416, b"", {})
                return
            rest = behaviour.content[start:]
            limit = behaviour.break_after.pop(0) if behaviour.break_after else None
            headers = {"ETag": behaviour.etag}
            self.answer(206 if start else 200, rest, headers, limit)

        def answer(self, code: int, body: bytes, headers: dict[str, str], limit: int | None = None) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body[:limit])
            if limit is not None:
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()

        def repository(self, body: bool) -> None:
            """As much of the hub as its own library asks for."""
            files = {
                "config.json": b'{"model_type": "x"}',
                "model.safetensors": WEIGHTS,
                "extra.bin": b"no",
            }
            if self.path.startswith("/api/models/owner/gone"):
                headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "no such repository"}
                self.answer(404, b"{}", headers)
            elif "/tree/" in self.path:
                tree = [
                    {"type": "file", "path": name, "size": len(files[name]), "oid": "0"} for name in files
                ]
                self.answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
            elif self.path.startswith("/api/"):
                siblings = [{"rfilename": name} for name in files]
                entry = {"id": "owner/model", "sha": "c" * 40, "siblings": siblings}
                self.answer(200, json.dumps(entry).encode(), {"Content-Type": "application/json"})
            else:
                content = files[self.path.rpartition("/")[2].partition("?")[0]]
                start = int(re.findall(r"\d+", self.headers.get("Range", "bytes=0-"))[0])
                limit = behaviour.break_after.pop(0) if len(content) > 100 and behaviour.break_after else None
                stated = {"X-Linked-ETag": f'"{behaviour.states_checksum}"'} if len(content) > 100 else {}
                behaviour.ranges.append(f"{self.path.rpartition('/')[2]} from {start}")
                self.answer(206 if start else 200, content[start:], {"ETag": '"one"', **stated}, limit)

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", behaviour
    running.shutdown()
    running.server_close()


def source_at(url: str, sha256: str = "") -> Source:
    return Source("https://example.org/page", "toy", f"{url}/file.bin", sha256=sha256)


@dataclass
class Told:
    """What a download says and shows."""

    lines: list[str] = field(default_factory=list[str])
    steps: list[tuple[int, int | None]] = field(default_factory=list[tuple[int, int | None]])

    def get(self, source: Source, folder: Path, **more: Any) -> Path:
        def move(done: int, total: int | None) -> None:
            self.steps.append((done, total))

        return fetch("toy", source, folder, log=self.lines.append, progress=move, wait_seconds=0.0, **more)


def test_a_file_comes_whole_with_progress(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    told = Told()
    source = source_at(url, SHA256)
    path = told.get(source, tmp_path)
    assert path == place(source, tmp_path) == tmp_path / "toy" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert told.steps[0] == (0, len(CONTENT)) and told.steps[-1] == (len(CONTENT), len(CONTENT))
    assert told.steps == sorted(told.steps)
    told.get(source, tmp_path)
    assert len(behaviour.ranges) == 1 and "here already" in told.lines[-1]
    assert [left.name for left in path.parent.iterdir() if left.suffix != ".lock"] == ["file.bin"]


def test_broken_connections_are_continued(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    behaviour.break_after = [1_000_000, 500_000]
    told = Told()
    assert told.get(source_at(url, SHA256[:8]), tmp_path).read_bytes() == CONTENT
    assert behaviour.ranges[0] == "" and len(behaviour.ranges) == 3
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in behaviour.ranges[1:]]
    assert 0 < starts[0] < starts[1] < len(CONTENT)
    assert sum("trying again" in line for line in told.lines) == 2


def test_a_second_call_continues_the_first(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    behaviour.break_after = [300_000] * ATTEMPTS
    with pytest.raises(
        InputError, match=r"failed 6 times .*MB of it are kept; .* run `blended encoders fetch"
    ):
        Told().get(source_at(url, SHA256), tmp_path)
    assert len(behaviour.ranges) == ATTEMPTS and not place(source_at(url), tmp_path).exists()
    assert Told().get(source_at(url, SHA256), tmp_path).read_bytes() == CONTENT
    assert behaviour.ranges[-1].startswith("bytes=") and behaviour.ranges[-1] != "bytes=0-"


def test_a_file_that_changed_in_between_is_taken_from_the_start(
    server: tuple[str, Behaviour], tmp_path: Path
):
    url, behaviour = server
    behaviour.break_after = [300_000] * ATTEMPTS
    with pytest.raises(InputError, match="failed 6 times"):
        Told().get(source_at(url), tmp_path)
    behaviour.content, behaviour.etag = b"other" * 100_000, '"second"'
    assert Told().get(source_at(url), tmp_path).read_bytes() == behaviour.content


def test_a_wrong_checksum_leaves_nothing(server: tuple[str, Behaviour], tmp_path: Path):
    url, _ = server
    with pytest.raises(InputError, match=r"SHA-256 of what came is [0-9a-f]{16}..., expected 00000000"):
        Told().get(source_at(url, "0" * 64), tmp_path)
    assert not [left for left in (tmp_path / "toy").iterdir() if left.suffix != ".lock"]


def test_without_a_checksum_that_of_the_file_is_told(server: tuple[str, Behaviour], tmp_path: Path):
    told = Told()
    told.get(source_at(server[0]), tmp_path)
    assert any(f"states no checksum; the SHA-256 of what came is {SHA256}" in line for line in told.lines)


def test_the_hub_states_the_checksum(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    source = hub_file("org/model", "forwarded.bin")
    behaviour.states_checksum = SHA256
    told = Told()
    path = told.get(source, tmp_path, hub=Hub(url, "secret"))
    assert path == tmp_path / "org--model" / "forwarded.bin" and path.read_bytes() == CONTENT
    assert not any("states no checksum" in line for line in told.lines)
    assert behaviour.tokens[0] == "Bearer secret"
    path.unlink()
    behaviour.states_checksum = "f" * 64
    with pytest.raises(InputError, match="expected ffffffff"):
        Told().get(source, tmp_path, hub=Hub(url))


def test_the_token_goes_to_the_hub_only(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    Told().get(source_at(url), tmp_path, hub=Hub("https://elsewhere.example", "secret"))
    assert behaviour.tokens == [""]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (404, r"does not exist \(404\): look for the file at https://example.org/page"),
        (403, r"without permission \(403\): accept the licence at https://example.org/page and set HF_TOKEN"),
        (400, "was refused with 400"),
    ],
)
def test_refusals_are_not_tried_again(
    server: tuple[str, Behaviour], tmp_path: Path, code: int, sentence: str
):
    url, behaviour = server
    behaviour.codes = [code] * 2
    with pytest.raises(InputError, match=sentence):
        Told().get(source_at(url), tmp_path)
    assert behaviour.codes == [code]


def test_a_server_out_of_order_is_asked_again(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    behaviour.codes = [503, 429, 500]
    assert Told().get(source_at(url, SHA256), tmp_path).read_bytes() == CONTENT


def test_no_server_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match=r"failed 6 times .* 0.0 MB of it are kept; check the connection"):
        Told().get(source_at("http://127.0.0.1:9"), tmp_path)


def test_weights_without_an_address_say_where_to_ask(tmp_path: Path):
    source = Source("https://example.org/form", "toy", file="toy.pth")
    with pytest.raises(InputError, match=r"by hand: get them from https://example.org/form and save them as"):
        Told().get(source, tmp_path)


def test_a_repository_comes_whole(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    source = Source("https://example.org", "owner--model", repository="owner/model")
    path = Told().get(source, tmp_path, hub=Hub(url))
    assert (path / "model.safetensors").read_bytes() == WEIGHTS
    assert (path / "config.json").is_file() and not (path / "extra.bin").exists()
    asked = len(behaviour.ranges)
    Told().get(source, tmp_path, hub=Hub(url))
    assert len(behaviour.ranges) == asked
    with pytest.raises(InputError, match=r"repository owner/gone cannot be fetched"):
        Told().get(Source("https://example.org", "gone", repository="owner/gone"), tmp_path, hub=Hub(url))


def test_a_file_of_a_repository_is_continued_and_checked(server: tuple[str, Behaviour], tmp_path: Path):
    url, behaviour = server
    source = Source("https://example.org", "owner--model", repository="owner/model")
    behaviour.break_after = [70_000] * ATTEMPTS
    behaviour.states_checksum = hashlib.sha256(WEIGHTS).hexdigest()
    told = Told()
    with pytest.raises(InputError, match=r"model.safetensors failed 6 times"):
        told.get(source, tmp_path, hub=Hub(url))
    assert not place(source, tmp_path).exists()
    behaviour.ranges.clear()
    path = told.get(source, tmp_path, hub=Hub(url))
    assert (path / "model.safetensors").read_bytes() == WEIGHTS
    assert not any("states no checksum" in line for line in told.lines)
    (first,) = behaviour.ranges  # Neither the config again, nor what had come of the weights.
    assert first.startswith("model.safetensors from ") and not first.endswith(" 0")
    behaviour.states_checksum = "f" * 64
    with pytest.raises(InputError, match="expected ffffffff"):
        Told().get(source, tmp_path / "other", hub=Hub(url))
