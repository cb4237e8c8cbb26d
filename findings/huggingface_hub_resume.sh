#!/usr/bin/env bash
# huggingface_hub 2.4.0: an interrupted download of weights begins anew, and what was there stays in the cache for good
#
# `hf_hub_download` writes to a temporary file whose name is drawn for each call. A process that is killed (a job that runs out of its
# time, a laptop that sleeps) leaves it behind; the next call asks for the file from its first byte, writes another temporary file,
# and leaves the first. Releases 0.36.0 and 1.5.0, tried with this script, asked for the rest (`Range: bytes=20971520-`) and left nothing.
# It was given up because processes that share a cache on file systems without working locks wrote into one file (pull request 4228 of
# the library).
#
# Why it matters here: encoders of this field are 0.3 to 4 GB (WavLM-large 1.3, HuBERT-XL 3.9), and compute nodes with an hour's limit and
# a slow proxy get the first hour of the same file again and again, while their quota fills up with pieces that nothing will use.
#
# Until then: fetch large files with something that continues (`curl -C -`, `aria2c`) into a folder and load from there, or delete
# `blobs/*.incomplete` between attempts.
#
# Seen on 2026-11-27, Python 3.11, x86-64 Linux:
#     first call, killed half way:   asked for everything, 25165824 of 50331648 bytes sent
#     second call:                   asked for everything
#     whole file in the cache:       True
#     pieces left in the cache:      1, of 20971520 bytes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check huggingface_hub==2.4.0

cat > "$folder/interrupted.py" <<'PYTHON'
import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WEIGHTS = bytes(range(256)) * 196608  # 48 MiB: the library writes 10 MB at a time
HALF = len(WEIGHTS) // 2
asked, half_sent, go_on = [], threading.Event(), threading.Event()


class Hub(BaseHTTPRequestHandler):
    """One repository with one file, as the hub serves it."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(WEIGHTS).hexdigest()}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(WEIGHTS)))
        self.end_headers()

    def do_GET(self):
        asked.append(self.headers.get("Range"))
        start = int(asked[-1].removeprefix("bytes=").partition("-")[0]) if asked[-1] else 0
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(WEIGHTS) - 1}/{len(WEIGHTS)}")
        self.send_header("Content-Length", str(len(WEIGHTS) - start))
        self.end_headers()
        if len(asked) == 1:
            self.wfile.write(WEIGHTS[:HALF])
            half_sent.set()
            go_on.wait()
            self.close_connection = True
        else:
            self.wfile.write(WEIGHTS[start:])

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
cache = Path("cache")
environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_CACHE": str(cache),
               "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
call = [sys.executable, "-c", "from huggingface_hub import hf_hub_download as get; print(get('lab/encoder', 'model.safetensors'))"]

first = subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL)
assert half_sent.wait(60)
threading.Event().wait(2)  # Time to write what came.
first.kill()
first.wait()
go_on.set()
path = Path(subprocess.run(call, env=environment, check=True, capture_output=True, text=True).stdout.strip())
pieces = list(cache.rglob("*.incomplete"))


def words(range_header):
    return "everything" if range_header is None else range_header


print(f"first call, killed half way:   asked for {words(asked[0])}, {HALF} of {len(WEIGHTS)} bytes sent")
print(f"second call:                   asked for {words(asked[1])}")
print(f"whole file in the cache:       {path.read_bytes() == WEIGHTS}")
print(f"pieces left in the cache:      {len(pieces)}, of {sum(piece.stat().st_size for piece in pieces)} bytes")
assert path.read_bytes() == WEIGHTS
assert asked == [None, None], "changed: the second call asks for the rest"
assert len(pieces) == 1, "changed: the piece of the first call is used or removed"
PYTHON

cd "$folder"
venv/bin/python interrupted.py
