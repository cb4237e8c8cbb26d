"""How fast a corpus is indexed, against the least that anybody has to do: opening and hashing every file.

Both sides run on the same files, in turns, with the same number of workers, from a warm page cache: 3,024
clips of 3 seconds as in the demo corpus (108 are rendered; the others are these with a few bytes of their own
appended, so that no two have the same hash). The bare side is `av.open` and SHA-256 and nothing else, in a
thread pool or in forked processes, whichever is faster; starting them counts, as it does on our side.

    python benchmarks/indexing.py [FOLDER] [WORKERS ...]    # FOLDER keeps the clips for the next time
"""

import hashlib
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av

from blended.data.measuring import inspect_all, measure_all

NUM_ACTORS = 2
COPIES = 28
REPEATS = 3
BOX = (16).to_bytes(4, "big") + b"free"
"""An empty box of MP4: players pass over it."""


def make_clips(folder: Path) -> list[Path]:
    """The clips below a folder, rendered where they are not there yet."""
    # Worker processes import this file: what they do not need is imported here.
    from blended.data.demo.config import DemoConfig
    from blended.data.demo.render import render

    rendered, copies = folder / "rendered", folder / "copies"
    config = DemoConfig(
        num_train_actors=NUM_ACTORS, num_test_actors=0, num_folds=2, min_seconds=3.0, max_seconds=3.0
    )
    render(config, rendered, workers=2, log=print)
    copies.mkdir(exist_ok=True)
    for number, path in enumerate(sorted(rendered.rglob("*.mp4"))):
        for copy in range(COPIES):
            target = copies / f"{path.stem}_{copy:02d}.mp4"
            if not target.exists():
                own = (number * COPIES + copy).to_bytes(8, "big")
                target.write_bytes(path.read_bytes() + BOX + own)
    return sorted(copies.glob("*.mp4"))


def bare(path: Path) -> str:
    """Opens and hashes one file."""
    with av.open(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bare_loop(paths: list[Path], workers: int) -> list[str]:
    """In threads; of this process alone for one worker."""
    if workers == 1:
        return [bare(path) for path in paths]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(bare, paths))


def bare_processes(paths: list[Path], workers: int) -> list[str]:
    """In forked processes, which start at once."""
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return pool.map(bare, paths, chunksize=32)


def seconds(action: Callable[[], object]) -> float:
    """What a call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def compare(paths: list[Path], cache: Path, workers: int) -> None:
    """Prints medians and ratios for a number of workers."""
    times: dict[str, list[float]] = {}
    sides: dict[str, Callable[[], object]] = {
        "bare, threads" if workers > 1 else "bare": lambda: bare_loop(paths, workers),
        "probing and hashing": lambda: inspect_all(paths, cache, workers=workers),
        "decoding": lambda: measure_all(paths, cache, workers=workers),
        "second run": lambda: measure_all(paths, cache, workers=workers),
    }
    if workers > 1:
        sides = {"bare, processes": lambda: bare_processes(paths, workers), **sides}
    for _ in range(REPEATS):
        shutil.rmtree(cache, ignore_errors=True)
        for name, side in sides.items():
            times.setdefault(name, []).append(seconds(side))
    middle = {name: statistics.median(taken) for name, taken in times.items()}
    best = min(taken for name, taken in middle.items() if name.startswith("bare"))
    whole = middle["probing and hashing"] + middle["decoding"]
    print(f"{workers} worker(s), {len(paths)} clips, median of {REPEATS}:")
    for name, taken in middle.items():
        print(f"  {name:20s} {taken:6.2f} s  {taken / len(paths) * 1000:.2f} ms a clip")
    print(f"  ratio, probing and hashing: {best / middle['probing and hashing']:.2f} (at least 0.8)")
    print(f"  ratio, with decoding:       {best / whole:.2f}", flush=True)


def main() -> None:
    """One worker, then as many as are asked for."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        paths = make_clips(folder)
        for path in paths:
            path.read_bytes()
        for workers in map(int, sys.argv[2:] or ("1", "2")):
            compare(paths, Path(temporary) / "cache", workers)


if __name__ == "__main__":
    main()
