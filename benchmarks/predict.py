"""How long `blended predict` takes: from a cold start, and per further clip.

    python benchmarks/predict.py PROJECT RECIPE [CLIP]

PROJECT is a folder in which RECIPE was trained (`make repro`); CLIP a file of about three seconds, else one
is taken from the project's test clips. A cold start is a process of its own, the way a user types it; further
clips are the difference of eleven and one, divided by ten.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

FURTHER = 10


def seconds(*arguments: str) -> tuple[float, float]:
    """Wall and processor time of the command in a process of its own; CalledProcessError if it fails.

    On a busy machine the two differ, and only the second says something about the command.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "blended.studies", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("project", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("clip", type=Path, nargs="?")
    given = parser.parse_args()
    clips = sorted((given.project / "data" / "corpora").glob("*/test/*.mp4"))[: FURTHER + 1]
    one = [given.clip] if given.clip else clips[:1]
    run = ("--run", given.recipe, "--root", str(given.project))
    seconds("--help")  # bytecode and the disk's cache
    helped = min(seconds("--help") for _ in range(3))
    cold = min(seconds("predict", *map(str, one), *run) for _ in range(2))
    many = seconds("predict", *map(str, clips), *run)
    each = [(all_ - first) / (len(clips) - 1) for all_, first in zip(many, cold, strict=True)]
    print("| | wall | processor | wanted |\n|---|---|---|---|")
    print(f"| `blended --help` | {helped[0]:.2f} s | {helped[1]:.2f} s | under 0.5 s |")
    print(f"| `blended predict` of one clip, cold | {cold[0]:.2f} s | {cold[1]:.2f} s | under 10 s |")
    print(f"| every further clip | {each[0]:.2f} s | {each[1]:.2f} s | under 1 s |")


if __name__ == "__main__":
    main()
